"""Lines out of a stream of octets, with a bound on what an unfinished line may hold.

Owns CRLF framing of commands. Refuses to know what a line means. An overlong line is
reported once, by its first octets, and its remainder is dropped as it arrives, so that no
peer makes a session hold more than the bound.
RFC 1939 §3, RFC 2449 §4, RFC 5034 §4.
"""

from collections import deque
from dataclasses import dataclass

KEPT_OF_OVERLONG = 16


@dataclass(frozen=True, slots=True)
class Overlong:
    """Stands for a line over its bound; `start` is its first few octets, to tell what it was."""

    start: bytes


class Lines:
    """Cuts received octets into lines; no more than `bound` octets of an unfinished line are held."""

    def __init__(self, bound: int) -> None:
        self._bound = bound
        self._whole: deque[bytes | Overlong] = deque()
        self._tail = bytearray()
        self._overlong: bytes | None = None
        self.held = 0

    def receive(self, data: bytes) -> None:
        """Take `data`. `held` then counts the octets of the lines not taken yet."""
        pieces = data.split(b"\n")
        last = pieces.pop()
        if pieces:
            pieces[0] = self._finish(pieces[0])
            for piece in pieces:
                self._append(piece)
        self._tail += last
        self._cut_tail()

    def take(self) -> bytes | Overlong | None:
        """The next line without its line end, or None until more octets arrive."""
        if not self._whole:
            return None
        line = self._whole.popleft()
        self.held -= len(line) + 1 if isinstance(line, bytes) else len(line.start)
        return line

    def unfinished(self) -> bytes:
        """The octets of the line that has not ended yet."""
        return bytes(self._tail)

    def discard(self) -> None:
        """Forget every octet received and not taken."""
        self._whole.clear()
        self._tail.clear()
        self._overlong = None
        self.held = 0

    def _finish(self, piece: bytes) -> bytes:
        """The line that `piece` ends."""
        whole = bytes(self._tail) + piece
        self._tail.clear()
        return whole

    def _append(self, piece: bytes) -> None:
        """File one finished line.

        RFC 1939 §3: "All commands [...] terminated by a CRLF pair".
        Deviates: a bare LF ends a line too, as people type into `nc` and `openssl s_client`.
        """
        if self._overlong is not None or len(piece) > self._bound:
            cut = Overlong(self._overlong or piece[:KEPT_OF_OVERLONG])
            self._overlong = None
            self._whole.append(cut)
            self.held += len(cut.start)
        else:
            line = piece[:-1] if piece.endswith(b"\r") else piece
            self._whole.append(line)
            self.held += len(line) + 1

    def _cut_tail(self) -> None:
        """Drop what an unfinished line holds over the bound."""
        if self._overlong is None and len(self._tail) > self._bound:
            self._overlong = bytes(self._tail[:KEPT_OF_OVERLONG])
        if self._overlong is not None:
            self._tail.clear()
