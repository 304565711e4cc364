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
    """Cuts received octets into lines; no more than `bound` octets of an unfinished line are held."""

    __slots__ = ("_bound", "_octets", "_overlong", "_taken", "held")

    def __init__(self, bound: int) -> None:
        self._bound = bound
        self._octets = b""
        self._taken = 0
        self._overlong: bytes | None = None
        self.held = 0
        """How many octets wait to be taken, those of an unfinished line included."""

    def receive(self, data: bytes) -> None:
        """Take `data`."""
        self._octets = self._octets[self._taken :] + data if self.held else data
        self._taken = 0
        self.held += len(data)

    def take(self) -> bytes | Overlong | None:
        """The next line without its line end, or None until more octets arrive.

        RFC 1939 §3: "All commands are terminated by a CRLF pair."
        Deviates: a bare LF ends a line too, as people type into `nc` and `openssl s_client`.
        """
        start, octets = self._taken, self._octets
        end = octets.find(b"\n", start)
        if end < 0:
            self._drop_overlong()
            return None
        self._taken = end + 1
        self.held -= end + 1 - start
        if self._overlong is not None or end - start > self._bound:
            cut = Overlong(self._overlong or octets[start : start + KEPT_OF_OVERLONG])
            self._overlong = None
            return cut
        line = octets[start:end]
        return line[:-1] if line.endswith(b"\r") else line

    def unfinished(self) -> bytes:
        """The octets of the line that has not ended, the first few of an overlong one; if no whole one is left."""
        return self._octets[self._taken :] if self._overlong is None else self._overlong

    def discard(self) -> None:
        """Forget every octet received and not taken."""
        self._octets, self._taken, self._overlong = b"", 0, None
        self.held = 0

    def _drop_overlong(self) -> None:
        """Drop what an unfinished line holds over the bound."""
        if self._overlong is None and self.held > self._bound:
            self._overlong = self._octets[self._taken : self._taken + KEPT_OF_OVERLONG]
        if self._overlong is not None:
            self._octets, self._taken = b"", 0
            self.held = 0
