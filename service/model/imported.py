"""The unique-ids that imported messages keep of the server they came from, packed.

Owns the look-up by sequence number. A listing may hold a million of them: two arrays and one text cost some 50 octets
each, where a dictionary of texts costs four times as much. Refuses to know which message has which number.
RFC 1939 §7 (UIDL).
"""

from array import array
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import accumulate


@dataclass(frozen=True, slots=True, eq=False)
class Imported(Mapping[int, str]):
    """sequence number -> unique-id, in ascending order."""

    sequences: "array[int]" = field(default_factory=lambda: array("q"))
    ends: "array[int]" = field(default_factory=lambda: array("q"))
    """Where in `text` the unique-id of each ends; it begins where the one before ends."""
    text: bytes = b""

    @classmethod
    def of(cls, kept: Mapping[int, str]) -> "Imported":
        """What is in `kept`, packed."""
        sequences = array("q", sorted(kept))
        texts = [kept[sequence] for sequence in sequences]
        return cls(sequences, array("q", accumulate(map(len, texts))), "".join(texts).encode())

    @property
    def held(self) -> int:
        """Octets of memory that it takes."""
        return 16 * len(self.sequences) + len(self.text)

    def __getitem__(self, sequence: int) -> str:
        """The unique-id that message `sequence` keeps. Raises KeyError."""
        place = bisect_left(self.sequences, sequence)
        if place == len(self.sequences) or self.sequences[place] != sequence:
            raise KeyError(sequence)
        return self.text[self.ends[place - 1] if place else 0 : self.ends[place]].decode()

    def __iter__(self) -> Iterator[int]:
        """The sequence numbers of those that keep one."""
        return iter(self.sequences)

    def __len__(self) -> int:
        """How many keep one."""
        return len(self.sequences)
