"""A listing turned round: other numbers, the same messages. RFC 1939 §4 (numbers), §7 (a unique-id never changes)."""

from array import array
from unittest.mock import patch
from uuid import uuid4

from hypothesis import given
from hypothesis import strategies as st

from service.model.imported import Imported
from service.model.listing import Listing


def listing_of(count: int, imported: dict[int, str]) -> Listing:
    sequences, octets = array("q", range(1, 2 * count, 2)), array("q", range(100, 100 + count))
    return Listing(sequences, octets, b"".join(uuid4().bytes for _ in range(count)), Imported.of(imported))


def rows(listing: Listing) -> list[tuple[int, int, str]]:
    numbers = range(1, len(listing) + 1)
    return [(listing.sequences[n - 1], listing.octets[n - 1], listing.unique_id(n)) for n in numbers]


def turned(listing: Listing) -> Listing:
    sequences, octets, unique_ids = array("q"), array("q"), b""
    for piece in listing.newest_first():
        sequences, octets, unique_ids = sequences + piece[0], octets + piece[1], unique_ids + piece[2]
    return Listing(sequences, octets, unique_ids, listing.imported)


@given(count=st.integers(0, 30), kept=st.sets(st.integers(1, 30)), piece=st.sampled_from([1, 4, 10, 1 << 14]))
def test_g7_newest_first_is_the_same_messages_from_the_other_end(count: int, kept: set[int], piece: int) -> None:
    listing = listing_of(count, {2 * n - 1: f"kept-{n}" for n in kept if n <= count})
    with patch("service.model.listing.PIECE", piece):
        assert all(len(each) <= piece for each, _, _ in listing.newest_first())
        assert rows(turned(listing)) == rows(listing)[::-1]
        assert rows(turned(turned(listing))) == rows(listing)
