"""Messages in an mbox file.

Owns the format: a `From ` line with a date and time, after an empty line, begins a message, and so does Thunderbird's
bare one before a header; of a line of `>` and then `From ` one `>` is taken away. That is mboxrd, and mboxo reads right
but for a `>From ` that was the sender's own. The Content-Length of mboxcl may be a sender's: it is believed where the
next `From ` line, or the file's end, follows exactly there. What servers and clients write into a header for themselves
is no part of a text. Works by whole-piece searches; no line is held whole.
RFC 4155 §2, appendix A.
"""

import re
from collections.abc import Callable, Iterator
from functools import partial
from itertools import chain, pairwise
from pathlib import Path

from service.mail.archives import NO_UIDL, PIECE, ArchivedMessage, dovecot_unique_id, valid_unique_id
from service.mail.spool import Spool
from service.model.refusal import Reason, Refusal

HEADER_OCTETS = 64 * 1024
"""How far into a message X-UIDL and the notes are looked for."""

_SEPARATOR = re.compile(rb"\n\r?\nFrom ")
_SEPARATOR_OVERLAP = 7
_SENDER = rb"(?:\"[^\"\n]*\"\S*|\S*)"
_DATE = rb"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun),?[ \t]+(?:[A-Z][a-z]{2}[ \t]+\d{1,2}|\d{1,2}[ \t]+[A-Z][a-z]{2})"
# RFC 4155 appendix A: "a timestamp indicating the UTC date and time when the message was originally received,
# conformant with the syntax of the traditional UNIX 'ctime' output sans timezone". Many write a timezone, leave the
# seconds out or order day and month as a header does. A line of text that has a time alone begins nothing: Dovecot,
# which goes by Content-Length, leaves such lines as they are.
_TIME = rb"(?:\d{2,4}[ \t]+)?\d{1,2}:\d\d[^\n]*\n"
_DATED = rb"From (?:" + _SENDER + rb"[ \t]+)?" + _DATE + rb"[ \t]+" + _TIME
_HEADER_FOLLOWS = rb"(?=[!-9;-~]+:)"
# Some senders have spaces, "anna at orchard.example" of Mailman's archives. As people write of mail in such words too,
# of such a line a year is asked, nothing but a zone behind, and a header after it.
_YEAR = rb"(?:19|20)\d\d\b"
_CLOCK = rb"\d{1,2}:\d\d(?::\d\d)?"
_ZONE = rb"(?:[ \t]+(?:[+-]\d{4}|[A-Z]{1,5}))?"
_YEARLY = rb"(?:" + _YEAR + rb"[ \t]+" + _CLOCK + rb"|" + _CLOCK + _ZONE + rb"[ \t]+" + _YEAR + rb")" + _ZONE
_SPACED = rb"From [^\n]*?[ \t]" + _DATE + rb"[ \t]+" + _YEARLY + rb"[ \t]*\r?\n" + _HEADER_FOLLOWS
_BARE = rb"From \r?\n" + _HEADER_FOLLOWS
_FROM_LINE = re.compile(_DATED + rb"|" + _SPACED + rb"|" + _BARE)
_QUOTED = re.compile(rb"\n>(>*From )")
_UNDECIDED = re.compile(rb"\n>*(?:F|Fr|Fro|From)?\Z")
_X_UIDL = re.compile(rb"^X-UIDL:[ \t]*(\S+)[ \t]*\r?$", re.IGNORECASE | re.MULTILINE)
_X_UID = re.compile(rb"^X-UID:[ \t]*(\d{1,10})[ \t]*\r?$", re.IGNORECASE | re.MULTILINE)
_X_IMAP_BASE = re.compile(rb"^X-IMAP(?:base)?:[ \t]*(\d{1,10})[ \t]", re.IGNORECASE | re.MULTILINE)
_CONTENT_LENGTH = re.compile(rb"^Content-Length[ \t]*:[ \t]*(\d{1,18})[ \t]*\r?$", re.IGNORECASE | re.MULTILINE)
_NOTES = re.compile(
    rb"^(?:Status|X-Status|X-Keywords|X-UID|X-IMAP(?:base)?|Content-Length)[ \t]*:[^\n]*\n(?:[ \t][^\n]*\n)*",
    re.IGNORECASE | re.MULTILINE,
)
"""Headers that change with every look at the mail. Dovecot never serves them, whoever wrote them."""
_HEADER_END = re.compile(rb"^\r?\n", re.MULTILINE)
_PSEUDO = re.compile(rb"^Subject: DON'T DELETE THIS MESSAGE -- FOLDER INTERNAL DATA\r?$", re.MULTILINE)
"""The first message of a file that an IMAP server kept its notes in."""

MadeOf = Callable[[int, int], str | None]
"""Makes a UIDL of IMAP's UID and UIDVALIDITY."""


class Mbox:
    """One file, locked for as long as it or one of its messages is kept.

    Raises Refusal(INVALID) if it doesn't begin like an mbox or is being written to, OSError if it can't be read.
    """

    def __init__(self, path: Path, made: MadeOf = dovecot_unique_id, *, unlisted: bool = False) -> None:
        """`made` is how Dovecot makes a UIDL of UID and UIDVALIDITY, if it gave the messages any; with `unlisted` those
        that it has given no UID yet are as good as the others.
        """
        self._file, self._made, self._unlisted = Spool(path), made, unlisted
        self.octets = self._file.octets
        if self.octets and not _from_line(self._file, 0):
            raise Refusal(Reason.INVALID, f"{path} doesn't begin with a From line")

    def messages(self) -> Iterator[ArchivedMessage]:
        """The messages in the order of the file."""
        unique_ids = _UniqueIds(self._made, unlisted=self._unlisted)
        for start, end in pairwise(chain(_starts(self._file), [self.octets])):
            yield from self._message(start, end, unique_ids)

    def _message(self, start: int, end: int, unique_ids: "_UniqueIds") -> Iterator[ArchivedMessage]:
        begin = start + _from_line(self._file, start)
        header = _header(self._file.read(begin, min(HEADER_OCTETS, end - begin)))
        unique_id, refusal = unique_ids.of(header)
        if _PSEUDO.search(header):
            return
        text_end = end - _empty_line_before(self._file, begin, end)
        name = f"{self._file.path.name} at octet {start}"
        pieces = partial(_pieces, self._file, begin, header, text_end)
        yield ArchivedMessage(name, end - start, unique_id, pieces, refusal)


class _UniqueIds:
    """The UIDLs that clients of the earlier server know the messages by; to be asked in the order of the file."""

    def __init__(self, made: MadeOf, *, unlisted: bool) -> None:
        self._made, self._unlisted = made, unlisted
        self._validity: int | None = None
        """IMAP's UIDVALIDITY, as the first message tells it; 0 where it doesn't."""
        self._last_uid = 0

    def of(self, header: bytes) -> tuple[str | None, Refusal | None]:
        """That of the message with this header: what Dovecot made of its UID, or its X-UIDL in a file without UIDs; and
        why the message isn't to be imported yet.

        Where there are UIDs, X-UIDL is of a sender or of an earlier server: no client was told it.
        """
        if self._validity is None:
            base = _X_IMAP_BASE.search(header)
            self._validity = int(base[1]) if base else 0
        if self._validity:
            return self._of_uid(header, self._validity)
        own = _X_UIDL.search(header)
        return valid_unique_id(own[1].decode("latin-1")) if own else None, None

    def _of_uid(self, header: bytes, validity: int) -> tuple[str | None, Refusal | None]:
        found = _X_UID.search(header)
        uid = int(found[1]) if found else 0
        # UIDs ascend (RFC 3501 §2.3.1.1), and Dovecot gave another one to whatever had the X-UID of its sender.
        if uid <= self._last_uid:
            return None, None if self._unlisted else NO_UIDL
        self._last_uid = uid
        return self._made(uid, validity), None


def _starts(file: Spool) -> Iterator[int]:
    """Where each `From ` line begins."""
    window, at, earliest = b"\n\n", -2, 0
    while block := file.read(at + len(window), PIECE):
        window += block
        for found in _SEPARATOR.finditer(window):
            start = at + found.end() - len(b"From ")
            if start >= earliest and _from_line(file, start):
                yield start
                earliest = _declared_end(file, start) or start + 1
        kept = window[-_SEPARATOR_OVERLAP:]
        at, window = at + len(window) - len(kept), kept


def _declared_end(file: Spool, start: int) -> int | None:
    """Where the message at `start` ends by its Content-Length, if the file or a `From ` line bears that out."""
    begin = start + _from_line(file, start)
    octets = file.read(begin, HEADER_OCTETS)
    header = _header(octets)
    declared, header_end = _CONTENT_LENGTH.search(header), _HEADER_END.match(octets, len(header))
    if declared is None or header_end is None:
        return None
    end = begin + header_end.end() + int(declared[1])
    # Some count the empty line that ends the message, Dovecot doesn't.
    uncounted = _HEADER_END.match(file.read(end, 2))
    end += uncounted.end() if uncounted else 0
    separated = file.read(end - 3, 3).endswith((b"\n\n", b"\n\r\n")) and _from_line(file, end)
    return end if end == file.octets or separated else None


def _from_line(file: Spool, start: int) -> int:
    """The octets of the `From ` line at `start`, its line end included; 0 if there is none."""
    found = _FROM_LINE.match(file.read(start, 1024))
    return found.end() if found else 0


def _empty_line_before(file: Spool, begin: int, end: int) -> int:
    """The octets of the empty line that ends every message of the format, as far as it is there."""
    at = max(begin, end - 4)
    tail = file.read(at, end - at)
    if tail.endswith(b"\n\r\n"):
        return 2
    return 1 if tail.endswith(b"\n\n") or tail == b"\n" else 0


def _header(octets: bytes) -> bytes:
    """The header that `octets` begin with, without the empty line after it."""
    end = _HEADER_END.search(octets)
    return octets[: end.start()] if end else octets


def _pieces(file: Spool, begin: int, header: bytes, end: int) -> Iterator[bytes]:
    """The text from `begin` to `end`, unquoted and without the notes in its header."""
    at = begin
    for note in _NOTES.finditer(header):
        yield from _unquoted(file, at, begin + note.start())
        at = begin + note.end()
    yield from _unquoted(file, at, end)


def _unquoted(file: Spool, at: int, end: int) -> Iterator[bytes]:
    """The octets from `at`, where a line begins, to `end`."""
    window, skipped = b"\n", 1
    while at < end and (block := file.read(at, min(PIECE, end - at))):
        at += len(block)
        window += block
        last_line = window.rfind(b"\n")
        cut = last_line if at < end and _UNDECIDED.match(window, max(0, last_line)) else len(window)
        yield _QUOTED.sub(rb"\n\1", window[:cut])[skipped:]
        window, skipped = window[cut:], skipped if cut == 0 else 0
    if at < end:
        raise OSError(f"{file.path} became shorter")
