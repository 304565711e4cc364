"""Unique-ids that never repeat: 128 bits, by time of arrival and then random, or of what was imported.

Owns the layouts (UUID versions 7 and 8). Refuses to know clocks and sources of randomness: both are given.
RFC 1939 §7 (unique-ids persist and are never reused), RFC 9562 §5.7 (UUIDv7), §5.8 (UUIDv8).
"""

import hashlib
from datetime import datetime
from uuid import UUID

RANDOM_OCTETS = 10
_VARIANT, _MARKS = 0b10 << 62, 0xF << 76 | 0b11 << 62


def time_ordered(moment: datetime, random: bytes) -> UUID:
    """The UUIDv7 of `moment` (to the millisecond) and RANDOM_OCTETS random octets."""
    return UUID(bytes=time_ordered_octets(moment, random))


def time_ordered_octets(moment: datetime, random: bytes) -> bytes:
    """The same as its 16 octets."""
    if len(random) != RANDOM_OCTETS:
        raise ValueError(f"a unique-id takes {RANDOM_OCTETS} random octets")
    milliseconds = int(moment.timestamp() * 1000)
    return _marked(milliseconds << 8 * RANDOM_OCTETS | int.from_bytes(random, "big"), 7)


def of_content(maildrop_id: UUID, sha256: bytes, occurrence: int) -> UUID:
    """The UUIDv8 of the n-th message with this text in what is imported into a maildrop.

    It is the same at every import, so that one that broke off can be run again and stores nothing twice. It can't
    come to mean another message: whatever has it has the same text in the same maildrop.
    """
    named = b"poplar import" + maildrop_id.bytes + sha256 + occurrence.to_bytes(8, "big")
    return UUID(bytes=_marked(int.from_bytes(hashlib.sha256(named).digest()[:16], "big"), 8))


def _marked(number: int, version: int) -> bytes:
    """The 16 octets of a UUID with the 128 bits of `number`, but for those that say its version and variant."""
    return (number & ~_MARKS | version << 76 | _VARIANT).to_bytes(16, "big")
