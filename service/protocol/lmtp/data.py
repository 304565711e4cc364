"""Where the text of a message begins and ends in the stream of octets: DATA and BDAT.

Owns the framing and dot-unstuffing. Refuses to know what the text says and how its lines end: that is
`model/text.py`. Each reader takes octets from the front of the session's buffer, by whole-piece
searches, and leaves there what it can't decide yet, so that how the octets were cut never shows.
RFC 5321 §4.1.1.4 (end of mail data), §4.5.2 (transparency), RFC 2033 §4.2, RFC 3030 §2.
"""

from typing import Protocol

CHUNK = 64 * 1024
"""Octets of text handed out at once, at most: some tenth of a millisecond's work, its digest included."""

_DOT = b"\r\n."
_END = b"\r\n.\r\n"
_UNDECIDED = (b"\r\n.\r", b"\r\n.", b"\r\n", b"\r")


class Framing(Protocol):
    """Takes one text from a buffer, in pieces."""

    @property
    def ended(self) -> bool:
        """Whether the text is whole; the buffer then begins with what follows it."""

    def take(self, buffer: bytearray) -> bytes:
        """The next octets of the text, removed from `buffer`; none if it can't be decided before more arrive."""


class DotFraming:
    """The text of DATA. `buffer` must begin with the CRLF that ended the command's line: `opening` puts it back."""

    opening = b"\r\n"

    def __init__(self) -> None:
        self.ended = False
        self._unskipped = len(self.opening)

    def take(self, buffer: bytearray) -> bytes:
        """The next octets, unstuffed.

        RFC 5321 §4.1.1.4: "The mail data are terminated by a line containing only a period, that is, the
        character sequence "<CRLF>.<CRLF>", where the first <CRLF> is actually the terminator of the previous line".
        Nothing else ends it: a bare LF or CR beside the dot is text (else a sender could smuggle a second message in).
        """
        window = bytes(buffer[:CHUNK])
        # A line that begins with a dot is rare, and whether there is one is known soonest by looking from the end.
        dotted = b"\n" in window and window.rfind(_DOT) >= 0
        end = window.find(_END) if dotted else -1
        self.ended = end >= 0
        # The CRLF before the dot is the last line's own.
        decided = end + 2 if self.ended else len(window) - _undecided(window)
        del buffer[: end + len(_END) if self.ended else decided]
        text = unstuffed(window[:decided]) if dotted else window[:decided]
        if not text:
            return text
        skipped, self._unskipped = self._unskipped, 0
        return text[skipped:]


def unstuffed(text: bytes) -> bytes:
    """`text` without its transparency dots; no such dot may be cut off from the CRLF before it.

    RFC 5321 §4.5.2: "If the first character is a period and there are other characters on the line, the
    first character is deleted." A line begins after CRLF alone: the dot after a bare LF stays, because a
    sender that doesn't take LF for a line end has not doubled it. Once that LF is stored as CRLF the
    dot begins a line, so RETR stuffs it and the client gets it back: nothing is lost and nothing ends early.
    """
    return text.replace(_DOT, b"\r\n")


def _undecided(window: bytes) -> int:
    """How many octets at the end of `window` may be the beginning of the end, or of a stuffed line."""
    return next((len(start) for start in _UNDECIDED if window.endswith(start)), 0)


class CountedFraming:
    """The octets of one BDAT chunk.

    RFC 3030 §2: "The message data is sent immediately after the trailing <CR> <LF> of the BDAT command line."
    """

    def __init__(self, octets: int) -> None:
        self._left = octets

    @property
    def ended(self) -> bool:
        """Whether every octet announced was taken."""
        return self._left == 0

    def take(self, buffer: bytearray) -> bytes:
        """The next octets as they were sent: a chunk has no transparency dots."""
        text = bytes(buffer[: min(self._left, CHUNK)])
        del buffer[: len(text)]
        self._left -= len(text)
        return text
