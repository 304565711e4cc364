"""Pages of a listing as Postgres packs them, taken a piece at a time. RFC 1939 §4, §7, G16."""

import os
import struct
from typing import cast

import pytest

from service.stores.postgres.database import Row
from service.stores.postgres.listing import Pages
from tests.mail.test_listing_parts import Rounds


def packed(numbers: list[int]) -> bytes:
    return struct.pack(f">{len(numbers)}q", *numbers)


@pytest.mark.parametrize(("pieces", "rounds"), [(10, 0), (4, 2 + 1), (1, 9 + 4)])
async def test_g16_a_page_is_taken_in_pieces_with_others_in_between(
    monkeypatch: pytest.MonkeyPatch, pieces: int, rounds: int
) -> None:
    monkeypatch.setattr("service.stores.postgres.listing.PIECE", pieces)
    numbers, ids = list(range(3, 13)), os.urandom(160)
    kept = {number: "x" * number for number in numbers[::2]}
    page = {
        "messages": 10,
        "octets": 1000,
        "sequences": packed(numbers),
        "each_octets": packed([10 * number for number in numbers]),
        "unique_ids": ids,
        "imported_sequences": packed(list(kept)),
        "imported_lengths": packed([len(text) for text in kept.values()]),
        "imported_text": "".join(kept.values()),
    }
    pages, others = Pages(), Rounds()
    async with others:
        assert await pages.add(cast("Row", page)) == 12
    assert others.count == rounds
    listing = await pages.listing()
    assert (list(listing.sequences), list(listing.octets)) == (numbers, [10 * number for number in numbers])
    assert (listing.unique_ids, dict(listing.imported)) == (ids, kept)
