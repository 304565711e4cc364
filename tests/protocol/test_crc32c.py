"""CRC32C: RFC 4960 §B, with the vectors of RFC 3720 §B.4."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.protocol.crc32c import crc32c
from tests.protocol.proxy_headers import slow_crc32c


@pytest.mark.parametrize(
    ("octets", "checksum"),
    [
        (bytes(32), 0x8A9136AA),
        (b"\xff" * 32, 0x62A8AB43),
        (bytes(range(32)), 0x46DD794E),
        (bytes(range(31, -1, -1)), 0x113FDB5C),
        (b"123456789", 0xE3069283),
        (b"", 0),
    ],
)
def test_the_published_vectors_hold(octets: bytes, checksum: int) -> None:
    assert crc32c(octets) == checksum


@given(st.binary(max_size=300))
def test_the_table_gives_what_the_bits_give(octets: bytes) -> None:
    assert crc32c(octets) == slow_crc32c(octets)
