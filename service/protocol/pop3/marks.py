"""The messages of one session, which of them are marked for removal, and which were retrieved.

Owns the arithmetic of STAT, LIST, UIDL, DELE and RSET over the listing frozen at login. Numbers
never move: a marked message keeps its number and is not listed (RFC 1939 §5).
"""

from array import array
from collections.abc import Iterator
from itertools import compress

from service.model.listing import DropListing, Listing
from service.model.policy import Policy
from service.protocol.pop3.effects import Update

SLICE = 500
"""Lines of a listing made at a time, so that one session never holds the event loop for long."""

RUN = 512
"""Messages that are looked at together at the end: mostly all or none of them leave, which is seen at once.

A look at each of a million would hold the event loop for some 40 ms.
"""
ALL, NO = bytes([1]) * RUN, bytes(RUN)


_RELEASE = Update()
"""How most sessions leave their maildrop."""
_NONE = bytearray()
"""The flags of a session that has marked or retrieved nothing, as idle ones are by the thousand; never written."""


class Marks:
    """A maildrop as this session sees it: its counters at once, its listing when first needed."""

    __slots__ = ("_listing", "_marked", "_retrieved", "drop", "messages", "octets")

    def __init__(self, drop: DropListing) -> None:
        self.drop = drop
        self._listing: Listing | None = None
        self._marked = _NONE
        """An octet a message, at its number, so that a session which marks a million keeps no object for each."""
        self._retrieved = _NONE
        """The same; both are there once they are needed."""
        self.messages, self.octets = drop.messages, drop.octets
        """Those that are not marked, and their octets."""

    @property
    def loaded(self) -> bool:
        """Whether the listing is there; an empty maildrop's always is."""
        return self._listing is not None or self.drop.messages == 0

    @property
    def listing(self) -> Listing:
        """The frozen listing, empty until it was loaded."""
        return self._listing or Listing()

    def load(self, listing: Listing) -> None:
        """Take the listing that was loaded."""
        self._listing = listing

    @property
    def count(self) -> int:
        """How many messages are marked."""
        return self.drop.messages - self.messages

    def lists(self, number: int) -> bool:
        """Whether `number` names a message that is not marked."""
        return 1 <= number <= len(self.listing) and not (self._marked and self._marked[number])

    def octets_of(self, number: int) -> int:
        """The octets of a listed message."""
        return self.listing.octets[number - 1]

    def sequence_of(self, number: int) -> int:
        """The sequence number under which the index knows a listed message."""
        return self.listing.sequences[number - 1]

    def mark(self, number: int) -> None:
        """Mark a listed message (RFC 1939 §5 DELE)."""
        if not self._marked:
            self._marked = bytearray(len(self.listing) + 1)
        self._marked[number] = 1
        self.messages -= 1
        self.octets -= self.octets_of(number)

    def unmark_all(self) -> None:
        """RFC 1939 §5 RSET: "If any messages have been marked as deleted by the POP3 server, they are unmarked"."""
        self._marked = _NONE
        self.messages, self.octets = self.drop.messages, self.drop.octets

    def note_retrieved(self, number: int) -> None:
        """Remember that a listed message was sent whole by RETR."""
        if not self._retrieved:
            self._retrieved = bytearray(len(self.listing) + 1)
        self._retrieved[number] = 1

    def parting(self, policy: Policy) -> Update:
        """What QUIT makes of these messages; RFC 2449 §6.7 has 0 days mean that none stays which was retrieved."""
        if not (self._marked or self._retrieved):
            return _RELEASE
        # Whole sets of numbers at once: an octet of an integer stands for a message.
        marked, retrieved = _all_of(self._marked), _all_of(self._retrieved)
        removed = marked if policy.removes else 0
        noted = retrieved & ~removed
        if policy.retrieved_days == 0:
            removed, noted = removed | noted, 0
        return Update(self._sequences(removed), self._sequences(noted), (marked & ~removed).bit_count())

    def _sequences(self, chosen: int) -> "array[int]":
        """The sequence numbers of the messages that `chosen` has a one for."""
        if not chosen:
            return array("q")
        sequences, found = self.listing.sequences, array("q")
        flags = chosen.to_bytes(len(sequences) + 1, "big")[1:]
        for start in range(0, len(flags), RUN):
            part, run = flags[start : start + RUN], sequences[start : start + RUN]
            if part == ALL[: len(part)]:
                found.extend(run)
            elif part != NO[: len(part)]:
                found.extend(compress(run, part))
        return found

    def upcoming(self, number: int, count: int) -> tuple[int, ...]:
        """The sequence numbers of up to `count` messages listed after `number`, for prefetching."""
        after = self.listing.sequences[number : number + count]
        if not self._marked or self._marked.find(1, number + 1, number + 1 + count) < 0:
            return tuple(after)
        return tuple(sequence for n, sequence in enumerate(after, number + 1) if not self._marked[n])

    def scan_lines(self) -> Iterator[str]:
        """LIST's lines in slices: a number, a space and the exact octets (RFC 1939 §5)."""
        for numbers in self._slices():
            octets = self.listing.octets
            yield "".join([f"{n} {octets[n - 1]}\r\n" for n in numbers])

    def unique_id_lines(self) -> Iterator[str]:
        """UIDL's lines in slices (RFC 1939 §7)."""
        for numbers in self._slices():
            unique_id = self.listing.unique_id
            yield "".join([f"{n} {unique_id(n)}\r\n" for n in numbers])

    def _slices(self) -> Iterator[list[int]]:
        for start in range(1, len(self.listing) + 1, SLICE):
            numbers = range(start, min(start + SLICE, len(self.listing) + 1))
            marked = self._marked[start : numbers.stop]
            yield [n for n, gone in zip(numbers, marked, strict=True) if not gone] if marked else list(numbers)


def _all_of(flags: bytearray) -> int:
    return int.from_bytes(flags, "big")
