"""A listing that comes part by part: whole, and with others between two parts of it. RFC 1939 §4, §7."""

import asyncio
import os
from array import array
from itertools import groupby
from unittest.mock import patch

import pytest

from service.mail.listing_parts import WITHOUT_THE_LOCK, Parts, joined
from service.mail.maildrop import OpenMaildrop
from service.model.imported import Imported
from service.model.listing import PIECE, Listing
from service.model.policy import Policy
from tests.net.test_pop3_listing import opened
from tests.stores.worlds import MemoryWorld, one_maildrop


class Rounds:
    """Counts how often others ran within it."""

    def __init__(self) -> None:
        self.count = 0

    async def __aenter__(self) -> None:
        self._others = asyncio.create_task(self._run())
        await asyncio.sleep(0)
        self.count = 0

    async def __aexit__(self, *_: object) -> None:
        self._others.cancel()

    async def _run(self) -> None:
        while True:
            self.count += 1
            await asyncio.sleep(0)


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


async def newest(count: int) -> tuple[OpenMaildrop, Listing]:
    world = MemoryWorld()
    held = (await opened(world, await one_maildrop(world)))._replace(policy=Policy(order="newest"))
    numbers = array("q", range(1, count + 1))
    return held, Listing(numbers, numbers, os.urandom(16 * count))


async def test_g16_others_run_while_a_long_listing_is_turned_round() -> None:
    # Too short to be joined by a thread, for which others would not be waited for.
    count, rounds = 3 * PIECE + 5, Rounds()
    held, listing = await newest(count)
    async with rounds:
        turned = await held.numbered(listing)
    assert rounds.count == 3
    assert turned.sequences == listing.sequences[::-1]
    assert [turned.unique_ids[16 * n : 16 * n + 16] for n in range(count)] == [
        listing.unique_ids[16 * n : 16 * n + 16] for n in reversed(range(count))
    ]


async def test_g15_one_long_listing_at_a_time_has_a_second_copy() -> None:
    (held, first), (_, second), (_, short) = await newest(3 * PIECE), await newest(3 * PIECE), await newest(PIECE)
    added, add = list[Parts](), Parts.add

    def noted(parts: Parts, sequences: "array[int]", octets: "array[int]", unique_ids: bytes) -> None:
        added.append(parts)
        add(parts, sequences, octets, unique_ids)

    with patch.object(Parts, "add", noted):
        await asyncio.gather(held.numbered(first), held.numbered(second), held.numbered(short))
    assert [len(list(same)) for _, same in groupby(added)] == [1, 1, 2, 3], "who is short waits for nobody"
