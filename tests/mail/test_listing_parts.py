"""A listing that comes part by part: whole, and with others between two parts of it. RFC 1939 §4, §7."""

import asyncio
import os
from array import array
from unittest.mock import patch

import pytest

from service.mail.listing_parts import WITHOUT_THE_LOCK, Parts, joined
from service.model.imported import Imported
from service.model.listing import PIECE, Listing
from service.model.policy import Policy
from tests.net.test_pop3_listing import opened
from tests.stores.worlds import MemoryWorld, one_maildrop


async def test_parts_are_a_listing_in_the_order_in_which_they_came() -> None:
    parts, imported = Parts(), Imported.of({3: "kept"})
    for first in (1, 3):
        parts.add(array("q", [first, first + 1]), array("q", [10, 20]), bytes([first] * 16) + bytes([first + 1] * 16))
    assert parts.messages == 4
    listing = await parts.listing(imported)
    assert (listing.sequences, listing.octets) == (array("q", [1, 2, 3, 4]), array("q", [10, 20, 10, 20]))
    assert [listing.unique_id(n) for n in range(1, 5)] == ["01" * 16, "02" * 16, "kept", "04" * 16]


@pytest.mark.parametrize(("octets", "times"), [(WITHOUT_THE_LOCK - 1, 0), (WITHOUT_THE_LOCK, 1)])
async def test_what_is_long_is_joined_beside_the_event_loop(octets: int, times: int) -> None:
    text = os.urandom(octets)
    with patch("asyncio.to_thread", wraps=asyncio.to_thread) as by_thread:
        assert await joined([text[:1000], text[1000:]]) == text
    assert by_thread.call_count == times


async def test_g16_others_run_while_a_long_listing_is_turned_round() -> None:
    world = MemoryWorld()
    held = (await opened(world, await one_maildrop(world)))._replace(policy=Policy(order="newest"))
    count = 4 * PIECE + 5
    numbers, ids = array("q", range(1, count + 1)), os.urandom(16 * count)
    rounds = 0

    async def others() -> None:
        nonlocal rounds
        while True:
            rounds += 1
            await asyncio.sleep(0)

    beside = asyncio.create_task(others())
    await asyncio.sleep(0)
    begun = rounds
    turned = await held.numbered(Listing(numbers, numbers, ids))
    beside.cancel()
    assert rounds - begun >= 4
    assert turned.sequences == numbers[::-1]
    assert [turned.unique_ids[16 * n : 16 * n + 16] for n in range(count)] == [
        ids[16 * n : 16 * n + 16] for n in reversed(range(count))
    ]
