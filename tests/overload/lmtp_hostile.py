"""Senders that no mail server wishes for, as a program: all of one kind, at the same time, each on its own connection.

    python -m tests.overload.lmtp_hostile HOST PORT KIND JSON

Says "ready", and begins with the first line of its input. Says "there" once each has done what it came for, or has come
as far as it goes, and stays until its input ends; then prints the replies they got, by their codes. Refuses to know
what the server makes of them. RFC 2033, RFC 3030.
"""

import json
import os
import socket
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from tests.overload.standing_back import stand_back

PIECE = 1 << 18
SECONDS = 300.0
CUT = "cut"


@dataclass
class Sender:
    """One connection that said LHLO; `heard` counts replies by code."""

    place: tuple[str, int]
    options: dict[str, Any]
    heard: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.sock = socket.create_connection(self.place, timeout=SECONDS)
        self._answers = self.sock.makefile("rb")
        self._answers.readline()
        self.say(b"LHLO hostile.example")

    def say(self, line: bytes, times: int = 1) -> str:
        """Send a line, or the same so often at once; the code of the last reply, each of which is counted."""
        self.sock.sendall((line + b"\r\n") * times)
        return [self.reply() for _ in range(times)][-1]

    def reply(self) -> str:
        """The code of the next reply."""
        line = self._answers.readline()
        while line[3:4] == b"-":
            line = self._answers.readline()
        code = line[:3].decode() or CUT
        self.heard[code] += 1
        return code

    def begin(self, *recipients: str) -> None:
        """A transaction for these, up to its text."""
        self.say(b"MAIL FROM:<h@hostile.example>")
        for each in recipients or (self.options["recipient"],):
            self.say(b"RCPT TO:<%s>" % each.encode())

    def data(self, pieces: Iterator[bytes]) -> None:
        """A whole text by DATA, and its reply."""
        self.begin()
        if self.say(b"DATA") == "354":
            for piece in pieces:
                self.sock.sendall(piece)
            self.sock.sendall(b"\r\n.\r\n")
            self.reply()

    def repeated(self, piece: bytes) -> Iterator[bytes]:
        """`octets` octets of it, in pieces of some size."""
        whole = piece * max(1, PIECE // len(piece))
        for _ in range(max(1, self.options["octets"] // len(whole))):
            yield whole


def one_header(sender: Sender) -> None:
    """A header field of one line, as long as a message may be."""

    def text() -> Iterator[bytes]:
        yield b"X-Endless: "
        yield from sender.repeated(b"y")
        yield b"\r\n\r\nbody"

    sender.data(text())


def header_lines(sender: Sender) -> None:
    """Very many header fields."""

    def text() -> Iterator[bytes]:
        yield from sender.repeated(b"X: y\r\n")
        yield b"\r\nbody"

    sender.data(text())


def parts(sender: Sender) -> None:
    """Very many MIME parts, each within the one before."""

    def text() -> Iterator[bytes]:
        yield b'Content-Type: multipart/mixed; boundary="b"\r\n\r\n'
        yield from sender.repeated(b'--b\r\nContent-Type: multipart/mixed; boundary="b"\r\n\r\n')

    sender.data(text())


def bare_line_ends(sender: Sender) -> None:
    """Lines that end in LF alone, and dots: all that has to be rewritten."""
    sender.data(sender.repeated(b".\n"))


def endless_text(sender: Sender) -> None:
    """A text without any line end, longer than a message may be."""
    sender.data(sender.repeated(b"z"))


def endless_command(sender: Sender) -> None:
    """A command line that doesn't end for long."""
    for piece in sender.repeated(b"NOOP "):
        sender.sock.sendall(piece)
    sender.say(b"")


def large_mail(sender: Sender) -> None:
    """What is no siege: one large message, as mail programs write them, in BASE64."""

    def text() -> Iterator[bytes]:
        yield b"Subject: large\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        yield from sender.repeated(b"QUJD" * 19 + b"\r\n")

    sender.data(text())


def stopped_data(sender: Sender) -> None:
    """Stop in the middle of a text."""
    sender.begin()
    if sender.say(b"DATA") == "354":
        for piece in sender.repeated(b"Subject: stopped\r\n"):
            sender.sock.sendall(piece)


def stopped_chunk(sender: Sender) -> None:
    """Stop in the middle of a chunk."""
    sender.begin()
    octets = sender.options["octets"]
    sender.sock.sendall(b"BDAT %d LAST\r\n" % (4 * octets + PIECE))
    for piece in sender.repeated(b"Subject: stopped\r\n"):
        sender.sock.sendall(piece)


def recipients(sender: Sender) -> None:
    """Thousands of recipients that are there, and as many that aren't, all at once; then a text for those that are."""
    sender.begin()
    known = b"RCPT TO:<%s>" % sender.options["recipient"].encode()
    sender.say(known, sender.options["times"])
    sender.say(b"RCPT TO:<nobody@nowhere.example>", sender.options["times"])
    sender.say(b"RSET")
    sender.begin()
    sender.say(b"RCPT TO:<nobody-at-all@%s>" % sender.options["recipient"].partition("@")[2].encode(), 200)
    sender.say(b"RSET")


KINDS: dict[str, Callable[[Sender], None]] = {
    each.__name__: each
    for each in (
        *(one_header, header_lines, parts, bare_line_ends, endless_text, endless_command),
        *(stopped_data, stopped_chunk, recipients, large_mail),
    )
}


def main(host: str, port: str, kind: str, text: str) -> None:
    """Have all of them do it, stay, and tell."""
    options = json.loads(text)
    stand_back(apart=options["apart"])
    heard: Counter[str] = Counter()

    def one(_: int) -> Sender:
        sender = Sender((host, int(port)), options)
        try:
            for _ in range(options.get("rounds", 1)):
                KINDS[kind](sender)
        except ConnectionError:
            sender.heard[CUT] += 1
        return sender

    os.write(1, b"ready\n")
    os.read(0, 100)
    with ThreadPoolExecutor(options["senders"]) as pool:
        senders = list(pool.map(one, range(options["senders"])))
    os.write(1, b"there\n")
    os.read(0, 100)
    for sender in senders:
        heard += sender.heard
        sender.sock.close()
    os.write(1, json.dumps(heard).encode() + b"\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
