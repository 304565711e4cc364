"""The letters that break mail programs, and what must be stored of each.

Owns what is handed in and what comes back. RFC 5321 §4.5.2 (dots), RFC 1939 §3 and §11 (line ends), RFC 3030 §2
(BDAT, the only way to hand in a text that ends in the middle of a line).
"""

import random
from base64 import encodebytes
from dataclasses import dataclass

HEADER = b"From: Ada <ada@example.org>\r\nTo: you@example.org\r\nMessage-ID: <%s@example.org>\r\nSubject: %s\r\n"
MEGABYTES = 3


@dataclass(frozen=True)
class Handed:
    """A text as a mail server hands it in, and as a maildrop must keep it behind the trace lines."""

    name: str
    text: bytes
    stored: bytes
    chunked: bool = False
    """Whether it comes by BDAT rather than by DATA."""


def _letter(name: str, body: bytes, **more: bool) -> Handed:
    text = HEADER % (name.encode(), name.encode()) + b"\r\n" + body
    return Handed(name, text, text, **more)


def _attachment() -> bytes:
    octets = random.Random(1939).randbytes(MEGABYTES * 1024 * 1024)
    return b"Content-Transfer-Encoding: base64\r\n\r\n" + encodebytes(octets).replace(b"\n", b"\r\n")


def _changed(name: str, text: bytes, stored: bytes, *, chunked: bool = False) -> Handed:
    header = HEADER % (name.encode(), name.encode()) + b"\r\n"
    return Handed(name, header + text, header + stored, chunked)


PLAIN = _letter("plain", b"Hello,\r\n\r\nall is well.\r\n-- \r\nAda\r\n")
LONE_DOTS = _letter("lone-dots", b".\r\n..\r\n...\r\n.\r\n\r\n.\r\n")
DOTTED = _letter("dotted", b".profile\r\n..up\r\n. \r\n.QUIT\r\nend.\r\n")
EIGHT_BIT = _letter("eight-bit", bytes(range(0x80, 0x100)) + b"\r\nGr\xfc\xdfe\r\n")
UTF8_HEADER = Handed(
    "utf8-header",
    "From: Zoë <zoe@example.org>\r\nMessage-ID: <utf8@example.org>\r\nSubject: Grüße, 日本\r\n\r\nñandú\r\n".encode(),
    "From: Zoë <zoe@example.org>\r\nMessage-ID: <utf8@example.org>\r\nSubject: Grüße, 日本\r\n\r\nñandú\r\n".encode(),
)
LONG_LINES = _letter("long-lines", b"x" * 998 + b"\r\n" + b"y" * 2040 + b"\r\n" + b"z" * 8000 + b"\r\n")
ENDLESS_LINE = _letter("endless-line", b"x" * 200_000 + b"\r\nend\r\n")
NULS = _letter("nuls", b"a\0b\r\n\0\r\n\0\0\0end\r\n")
BARE_CR = _letter("bare-cr", b"one\rtwo\r\nthree\r\r\nfour\r\n")
BARE_LF = _changed("bare-lf", b"one\ntwo\n\nthree\r\n", b"one\r\ntwo\r\n\r\nthree\r\n")
NO_END = _changed("no-final-line-end", b"cut in the middle", b"cut in the middle\r\n", chunked=True)
HEADER_ALONE = Handed("header-alone", b"Subject: nothing else\r\n", b"Subject: nothing else\r\n")
EMPTY = Handed("empty", b"", b"\r\n", chunked=True)
ATTACHMENT = Handed(
    "attachment",
    HEADER % (b"attachment", b"attachment") + _attachment(),
    HEADER % (b"attachment", b"attachment") + _attachment(),
)

ALL: tuple[Handed, ...] = (
    *(PLAIN, LONE_DOTS, DOTTED, EIGHT_BIT, UTF8_HEADER, LONG_LINES, ENDLESS_LINE, NULS),
    *(BARE_CR, BARE_LF, NO_END, HEADER_ALONE, EMPTY, ATTACHMENT),
)
