"""Byte-stuffing of multi-line responses, and the body-line limit of TOP.

Owns what happens to a message's octets on their way into a response. Refuses to know where
they come from: each class takes pieces of any octets and gives pieces. Works by whole-piece
searches, never octet by octet.
RFC 1939 §3 (byte-stuffing, termination octet), §7 TOP.
"""

TERMINATION = b".\r\n"


class Stuffer:
    """Byte-stuffs one multi-line response, piece by piece.

    `dotted` False promises that no line begins with a dot, which saves the search. A line also begins after a bare LF:
    stored text has none, but clients end lines at one, and octets broken on their way must not end a response.
    """

    def __init__(self, *, dotted: bool = True) -> None:
        self._dotted = dotted
        self._last = b"\r\n"

    def feed(self, piece: bytes) -> bytes:
        """The stuffed octets of `piece`.

        RFC 1939 §3: "If any line of the multi-line response begins with the termination octet, the line is
        "byte-stuffed" by pre-pending the termination octet to that line of the response." A dot that is the
        message's very first octet begins a line too.
        """
        if not piece:
            return piece
        begins_a_line = self._last.endswith(b"\n")
        self._last = (self._last + piece[-2:])[-2:]
        if not self._dotted:
            return piece
        stuffed = piece.replace(b"\n.", b"\n..") if b"\n." in piece else piece
        return b"." + stuffed if begins_a_line and piece.startswith(b".") else stuffed

    def finish(self) -> bytes:
        """The end of the response: a repaired line end where the last line has none, then the termination.

        RFC 1939 §3: "a final line is sent, consisting of a termination octet (decimal code 046, ".") and a CRLF pair."
        """
        return TERMINATION if self._last == b"\r\n" else b"\r\n" + TERMINATION


class TopCut:
    """Passes a message's header, the empty line, and a number of body lines.

    RFC 1939 §7: "the POP3 server sends the headers of the message, the blank line separating the headers
    from the body, and then the number of lines of the indicated message's body".
    """

    def __init__(self, header_octets: int, lines: int) -> None:
        self._header_left = header_octets
        self._lines_left = lines
        self._ends = b""

    @property
    def done(self) -> bool:
        """Whether nothing of what follows will pass."""
        return self._header_left == 0 and self._lines_left == 0

    def feed(self, piece: bytes) -> bytes:
        """What of `piece` passes."""
        header = piece[: self._header_left]
        self._header_left -= len(header)
        self._ends = (self._ends + header[-4:])[-4:]
        return header + self._body(piece[len(header) :])

    def finish(self) -> bytes:
        """The empty line after a header that ends the message without one: clients wait for it."""
        return b"" if self._ends.endswith(b"\r\n\r\n") or self._ends == b"\r\n" else b"\r\n"

    def _body(self, piece: bytes) -> bytes:
        ends = piece.count(b"\n")
        if ends < self._lines_left:
            self._lines_left -= ends
            return piece
        end = 0
        for _ in range(self._lines_left):
            end = piece.index(b"\n", end) + 1
        self._lines_left = 0
        return piece[:end]
