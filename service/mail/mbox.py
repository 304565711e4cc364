"""Messages in an mbox file.

Owns the format: a `From ` line with a time, after an empty line, begins a message; of a line of `>` and then `From `
one `>` is taken away. That is mboxrd, and mboxo reads right but for a `>From ` that was the sender's own. The
Content-Length of mboxcl is not believed. Works by whole-piece searches; no line is held whole.
RFC 4155 §2, appendix A.
"""

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import BinaryIO

from service.mail.archives import PIECE, ArchivedMessage, valid_unique_id
from service.model.refusal import Reason, Refusal

HEADER_OCTETS = 64 * 1024
"""How far into a message X-UIDL is looked for."""

_SEPARATOR = re.compile(rb"\n\r?\nFrom ")
_SEPARATOR_OVERLAP = 7
_FROM_LINE = re.compile(rb"From [^\n]*\d:\d\d[^\n]*\n")
_QUOTED = re.compile(rb"\n>(>*From )")
_UNDECIDED = re.compile(rb"\n>*(?:F|Fr|Fro|From)?\Z")
_X_UIDL = re.compile(rb"^X-UIDL:[ \t]*(\S+)[ \t]*\r?$", re.IGNORECASE | re.MULTILINE)
_HEADER_END = re.compile(rb"\n\r?\n")
_PSEUDO = re.compile(rb"^Subject: DON'T DELETE THIS MESSAGE -- FOLDER INTERNAL DATA\r?$", re.MULTILINE)
"""The first message of a file that an IMAP server kept its notes in."""


class Mbox:
    """One file. Raises Refusal(INVALID) if it doesn't begin like an mbox, OSError if it can't be read."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.octets = path.stat().st_size
        with path.open("rb") as file:
            if self.octets and not _from_line(file, 0):
                raise Refusal(Reason.INVALID, f"{path} doesn't begin with a From line")

    def messages(self) -> Iterator[ArchivedMessage]:
        """The messages in the order of the file."""
        with self._path.open("rb") as file, self._path.open("rb") as beside:
            before: int | None = None
            for start in _starts(file, beside):
                if before is not None:
                    yield from self._message(beside, before, start)
                before = start
            if before is not None:
                yield from self._message(beside, before, self.octets)

    def _message(self, file: BinaryIO, start: int, end: int) -> Iterator[ArchivedMessage]:
        begin = start + _from_line(file, start)
        file.seek(begin)
        header = _HEADER_END.split(file.read(min(HEADER_OCTETS, end - begin)), maxsplit=1)[0]
        if _PSEUDO.search(header):
            return
        found = _X_UIDL.search(header)
        unique_id = valid_unique_id(found[1].decode("latin-1")) if found else None
        text_end = end - _empty_line_before(file, begin, end)
        name = f"{self._path.name} at octet {start}"
        yield ArchivedMessage(name, end - start, unique_id, partial(_pieces, self._path, begin, text_end))


def _starts(file: BinaryIO, beside: BinaryIO) -> Iterator[int]:
    """Where each `From ` line begins; `beside` is a second handle to look at a line with."""
    window, at, last = b"\n\n", -2, -1
    while block := file.read(PIECE):
        window += block
        for found in _SEPARATOR.finditer(window):
            start = at + found.end() - len(b"From ")
            if start > last and _from_line(beside, start):
                last = start
                yield start
        kept = window[-_SEPARATOR_OVERLAP:]
        at, window = at + len(window) - len(kept), kept


def _from_line(file: BinaryIO, start: int) -> int:
    """The octets of the `From ` line at `start`, its line end included; 0 if there is none."""
    file.seek(start)
    found = _FROM_LINE.match(file.read(1024))
    return found.end() if found else 0


def _empty_line_before(file: BinaryIO, begin: int, end: int) -> int:
    """The octets of the empty line that ends every message of the format, as far as it is there."""
    at = max(begin, end - 4)
    file.seek(at)
    tail = file.read(end - at)
    if tail.endswith(b"\n\r\n"):
        return 2
    return 1 if tail.endswith(b"\n\n") or tail == b"\n" else 0


def _pieces(path: Path, begin: int, end: int) -> Iterator[bytes]:
    """The text from `begin` to `end`, unquoted."""
    with path.open("rb") as file:
        file.seek(begin)
        left, window, skipped = end - begin, b"\n", 1
        while left > 0 and (block := file.read(min(PIECE, left))):
            left -= len(block)
            window += block
            last_line = window.rfind(b"\n")
            cut = last_line if left > 0 and _UNDECIDED.match(window, max(0, last_line)) else len(window)
            yield _QUOTED.sub(rb"\n\1", window[:cut])[skipped:]
            window, skipped = window[cut:], skipped if cut == 0 else 0
    if left > 0:
        raise OSError(f"{path} became shorter")
