"""CRC32C (Castagnoli), which version 2 of the PROXY protocol may carry.

Owns the arithmetic alone. In plain Python, because a header has a hundred octets and a C extension
for that would be one more dependency. RFC 4960 §B, RFC 3720 §B.4 (test vectors).
"""

_POLYNOMIAL = 0x82F63B78


def _entry(octet: int) -> int:
    for _ in range(8):
        octet = octet >> 1 ^ (_POLYNOMIAL if octet & 1 else 0)
    return octet


_TABLE = tuple(_entry(octet) for octet in range(256))


def crc32c(octets: bytes) -> int:
    """The checksum of `octets`, 0 to 2**32 - 1."""
    value = 0xFFFFFFFF
    for octet in octets:
        value = value >> 8 ^ _TABLE[(value ^ octet) & 0xFF]
    return value ^ 0xFFFFFFFF
