"""Unique-ids that never repeat: 128 bits, by time of arrival and then random.

Owns the layout (UUID version 7). Refuses to know clocks and sources of randomness: both are given.
RFC 1939 §7 (unique-ids persist and are never reused), RFC 9562 §5.7 (UUIDv7).
"""

from datetime import datetime
from uuid import UUID

RANDOM_OCTETS = 10


def time_ordered(moment: datetime, random: bytes) -> UUID:
    """The UUIDv7 of `moment` (to the millisecond) and RANDOM_OCTETS random octets."""
    if len(random) != RANDOM_OCTETS:
        raise ValueError(f"a unique-id takes {RANDOM_OCTETS} random octets")
    milliseconds = int(moment.timestamp() * 1000)
    octets = bytearray(milliseconds.to_bytes(6, "big") + random)
    octets[6] = 0x70 | octets[6] & 0x0F
    octets[8] = 0x80 | octets[8] & 0x3F
    return UUID(bytes=bytes(octets))
