"""What proves the beginnings of a text: its header, and every whole number of parts of it.

Owns the digests of a text as it passes by and how they are packed: SHA-256 goes on from any octet, so those of the
beginnings cost no more than that of the whole. Whoever sends a part of a text can prove it first, all that came before
being proven. Refuses to know where a header ends and where texts are stored.
RFC 1939 §7 TOP, which needs a beginning alone.
"""

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

PART_OCTETS = 1024 * 1024
"""Octets of a part; the beginning after each is proven."""
DIGEST_OCTETS = 32


class Beginning(NamedTuple):
    """The first `octets` of a text, and their SHA-256."""

    octets: int
    sha256: bytes


class Digests:
    """The digests of one text as it passes by."""

    def __init__(self) -> None:
        self._octets = 0
        self._digest = hashlib.sha256()
        self._header: bytes | None = None
        self._parts: list[bytes] = []

    @property
    def whole(self) -> bytes:
        """Of all that passed."""
        return self._digest.digest()

    @property
    def packed(self) -> bytes:
        """Of the header, then of each whole number of parts that is less than all of it."""
        return b"".join((self._header or self.whole, *self._parts))

    def feed(self, piece: bytes | memoryview) -> None:
        """The next octets of the text."""
        view = memoryview(piece)
        while view:
            if self._octets and self._octets % PART_OCTETS == 0:
                self._parts.append(self.whole)
            some = view[: PART_OCTETS - self._octets % PART_OCTETS]
            self._digest.update(some)
            self._octets += len(some)
            view = view[len(some) :]

    def end_header(self) -> None:
        """What passed so far is the header."""
        self._header = self.whole


def of_header(octets: int, packed: bytes) -> Sequence[Beginning]:
    """The beginnings up to that of the header, which has so many octets."""
    return (*_parts(octets, packed), Beginning(octets, packed[:DIGEST_OCTETS]))


def of_all(octets: int, packed: bytes, whole: bytes) -> Sequence[Beginning]:
    """The beginnings up to all of a text that has so many octets."""
    return (*_parts(octets, packed), Beginning(octets, whole))


def _parts(octets: int, packed: bytes) -> Sequence[Beginning]:
    """Those that are less than `octets`."""
    return [
        Beginning(number * PART_OCTETS, packed[number * DIGEST_OCTETS : (number + 1) * DIGEST_OCTETS])
        for number in range(1, (octets - 1) // PART_OCTETS + 1)
    ]
