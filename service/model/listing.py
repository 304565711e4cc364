"""A maildrop as one session sees it: frozen at login, numbered from 1.

Owns the arithmetic between numbers, octets and unique-ids; refuses to know what is marked.
Columns are packed: 16 octets of unique_id, 8 of octets and 8 of sequence number a message,
never an object each, so that 1,000,000 messages fit in 32 MB.
RFC 1939 §4 (numbers), §5 LIST, §7 UIDL.
"""

from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from service.model.imported import Imported

PIECE = 1 << 14
"""Messages of a long listing that are worked on at once: a millisecond or less. Others run before the next."""


class DropListing(NamedTuple):
    """What STAT needs, read in the same instant as the fence was written.

    `upto` is the newest sequence number and `removals` the count of removals at that instant:
    together with `since` they select the same messages whenever the listing is loaded (G9).
    """

    messages: int
    octets: int
    upto: int
    removals: int
    since: datetime | None = None
    """Since when what is counted was received, where that isn't everything; the rest isn't listed, either."""
    first: int = 1
    """The least sequence number counted, or less."""


@dataclass(frozen=True, slots=True)
class Listing:
    """The messages of a maildrop in the order of their numbers; `sequences[number - 1]` and so on."""

    sequences: "array[int]" = field(default_factory=lambda: array("q"))
    octets: "array[int]" = field(default_factory=lambda: array("q"))
    unique_ids: bytes = b""
    """16 octets a message, served as 32 hexadecimal digits."""
    imported: Imported = field(default_factory=Imported)
    """By sequence number, the unique-ids that imported messages keep."""

    def __len__(self) -> int:
        """How many messages, marked ones included."""
        return len(self.sequences)

    def newest_first(self) -> Iterator["tuple[array[int], array[int], bytes]"]:
        """The columns of the same messages numbered from the other end, in pieces: sequences, octets, unique_ids.

        Each keeps its unique-id (RFC 1939 §7); what imported messages keep goes by sequence number, which stays.
        """
        for end in range(len(self), 0, -PIECE):
            start = max(end - PIECE, 0)
            words = array("Q", self.unique_ids[16 * start : 16 * end])
            words.reverse()
            # A unique_id is two words, whose order is turned with the rest.
            words[0::2], words[1::2] = words[1::2], words[0::2]
            yield self.sequences[start:end][::-1], self.octets[start:end][::-1], words.tobytes()

    def lists(self, number: int, unique_id: UUID) -> bool:
        """Whether `unique_id` is that of message `number`; the one that an imported message keeps is another matter."""
        return self.unique_ids[16 * (number - 1) : 16 * number] == unique_id.bytes

    def unique_id(self, number: int) -> str:
        """The unique-id of message `number`: 1 to 70 characters of 0x21 to 0x7E (RFC 1939 §7)."""
        kept = self.imported.get(self.sequences[number - 1]) if self.imported else None
        return kept if kept is not None else self.unique_ids[16 * (number - 1) : 16 * number].hex()
