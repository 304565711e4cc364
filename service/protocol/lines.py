"""Lines out of a stream of octets, with a bound on what an unfinished line may hold.

Owns CRLF framing of commands. Refuses to know what a line means. An overlong line is
reported once, by its first octets, and its remainder is dropped as it arrives. What waits is
held as it came, octet for octet, so a peer's short lines cost no more than their octets.
RFC 1939 §3, RFC 2449 §4, RFC 5034 §4.
"""

from dataclasses import dataclass

KEPT_OF_OVERLONG = 16


@dataclass(frozen=True, slots=True)
class Overlong:
    """Stands for a line over its bound; `start` is its first few octets, to tell what it was."""

    start: bytes


class Lines:
    """Cuts received octets into lines; no more than `bound` octets of an unfinished line are held.

    Nearly every line has come whole and has at most `usual` octets, its line end included: `take` looks for no other.
    Most come alone: only where more than a line of usual length waits does `_taken` tell how much of it was taken.
    """

    __slots__ = ("_bound", "_overlong", "_room", "_taken", "_usual", "octets")

    def __init__(self, bound: int, usual: int) -> None:
        self._bound = bound
        self._usual = self._room = usual
        self.octets = b""
        """What waits to be taken, after what may have been taken of it already; empty if nothing waits."""
        self._taken = 0
        self._overlong: bytes | None = None

    @property
    def held(self) -> int:
        """How many octets wait to be taken, those of an unfinished line included."""
        return len(self.octets) - self._taken

    def receive(self, data: bytes) -> None:
        """Take `data`."""
        if self.octets:
            data, self._taken = self.octets[self._taken :] + data, 0
        self.octets = data

    def take(self) -> bytes | None:
        """The next line without its line end, if it is whole and of usual length; else `take_long` tells what is there.

        RFC 1939 §3: "All commands are terminated by a CRLF pair."
        Deviates: a bare LF ends a line too, as people type into `nc` and `openssl s_client`.
        """
        octets = self.octets
        if len(octets) > self._room:
            return self._take_of_many()
        line, end, left = octets.partition(b"\n")
        if not end:
            return None
        self.octets = left
        return line.removesuffix(b"\r")

    def take_long(self) -> bytes | Overlong | None:
        """The next line where `take` gave none, or None until more octets arrive."""
        start, octets = self._taken, self.octets
        end = octets.find(b"\n", start)
        if end < 0:
            self._drop_overlong()
            return None
        line = self._cut(end)
        if self._overlong is not None or end - start > self._bound:
            overlong = Overlong(self._overlong or octets[start : start + KEPT_OF_OVERLONG])
            self._overlong, self._room = None, self._usual
            return overlong
        return line

    def unfinished(self) -> bytes:
        """The octets of the line that has not ended, the first few of an overlong one; if no whole one is left."""
        return self.octets[self._taken :] if self._overlong is None else self._overlong

    def discard(self) -> None:
        """Forget every octet received and not taken."""
        self.octets, self._taken = b"", 0
        self._overlong, self._room = None, self._usual

    def _take_of_many(self) -> bytes | None:
        """What `take` gives where there may be many lines, of which most stay where they are."""
        end = self.octets.find(b"\n", self._taken, self._taken + self._room)
        return None if end < 0 else self._cut(end)

    def _cut(self, end: int) -> bytes:
        """Take the line whose LF is at `end`. What is left is copied once it is little, not for each of its lines."""
        start, octets = self._taken, self.octets
        self._taken = end + 1
        if self.held <= self._usual:
            self.octets, self._taken = octets[end + 1 :], 0
        return octets[start:end].removesuffix(b"\r")

    def _drop_overlong(self) -> None:
        """Drop what an unfinished line holds over the bound."""
        if self._overlong is None and self.held > self._bound:
            self._overlong = self.octets[self._taken : self._taken + KEPT_OF_OVERLONG]
        if self._overlong is not None:
            # What follows is the same line's, however short.
            self.octets, self._taken = b"", 0
            self._room = 0


class _Deaf(Lines):
    """Drops whatever comes."""

    __slots__ = ()

    def receive(self, data: bytes) -> None:
        """Drop `data`."""


DEAF = _Deaf(0, 0)
"""What has whoever listens no more, all of them the same."""
