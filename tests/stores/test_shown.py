"""Sessions that see only a part of a maildrop, in memory and on Postgres. G2, G9, G14.

RFC 1939 §4 (a session's numbers), §5 (STAT, LIST).
"""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service.model.account import MaildropKey
from service.model.listing import DropListing
from service.model.refusal import Reason, Refusal
from service.model.shown import EVERYTHING, Shown
from tests.stores.worlds import MemoryWorld, World, deliver, message, one_maildrop

FENCE, NEWER = b"\x01" * 16, b"\x02" * 16
WEEK = Shown(days=7)


def days_ago(days: float) -> datetime:
    return datetime.now(UTC) - timedelta(days=days)


async def received(world: World, *days: float) -> MaildropKey:
    """A maildrop whose n-th message was received so many days ago, and has 100 + n octets."""
    key = await one_maildrop(world)
    await deliver(world, key, *(message(101 + n, received=days_ago(ago)) for n, ago in enumerate(days)))
    return key


async def sequences(world: World, key: MaildropKey, drop: DropListing) -> list[int]:
    return list((await world.index.listing(key, drop)).sequences)


async def test_what_is_counted_is_what_is_listed(world: World) -> None:
    key = await received(world, 400, 8, 6, 300, 0)
    drop = await world.index.open(key, FENCE, WEEK)
    assert (drop.messages, drop.octets) == (2, 103 + 105)
    listing = await world.index.listing(key, drop)
    assert (list(listing.sequences), list(listing.octets)) == ([3, 5], [103, 105])
    assert [
        await sequences(world, key, await world.index.open(key, FENCE, seen))
        for seen in (
            EVERYTHING,
            Shown(since=days_ago(350)),
            Shown(since=days_ago(350), days=7),
            Shown(since=days_ago(1), days=7),
            Shown(since=days_ago(-1)),
        )
    ] == [[1, 2, 3, 4, 5], [2, 3, 4, 5], [3, 5], [5], []]


async def test_g9_the_part_is_frozen_whatever_comes_and_goes(world: World) -> None:
    key = await received(world, 8, 6, 5)
    drop = await world.index.open(key, FENCE, WEEK)
    await deliver(world, key, message(), message(received=days_ago(6)))
    await world.index.remove(key, FENCE, [2])
    assert await sequences(world, key, drop) == [2, 3]
    assert await sequences(world, key, await world.index.open(key, NEWER, WEEK)) == [3, 4, 5]


async def test_what_is_hidden_stays_and_is_counted_for_staff(world: World) -> None:
    key = await received(world, 8, 6, 5)
    await world.index.open(key, FENCE, WEEK)
    await world.index.remove(key, FENCE, [2, 3])
    drop = await world.index.open(key, FENCE)
    assert (drop.messages, drop.octets, await sequences(world, key, drop)) == (1, 101, [1])


async def test_a_session_that_sees_a_part_holds_the_maildrop_like_any_other(world: World) -> None:
    key = await received(world, 8, 6)
    await world.index.open(key, FENCE)
    await world.index.open(key, NEWER, WEEK)
    with pytest.raises(Refusal) as refused:
        await world.index.remove(key, FENCE, [1])
    assert refused.value.reason is Reason.LOST


async def test_g14_a_part_of_which_a_row_is_lost_is_refused_and_never_shortened(world: World) -> None:
    key = await received(world, 8, 6, 5)
    drop = await world.index.open(key, FENCE, WEEK)
    await world.lose_row(key, 3)
    with pytest.raises(Refusal) as refused:
        await world.index.listing(key, drop)
    assert refused.value.reason is Reason.BROKEN


async def test_a_removed_maildrop_shows_no_part(world: World) -> None:
    key = await received(world, 8, 6, 5)
    await world.set_status(key, "removed")
    with pytest.raises(Refusal) as refused:
        await world.index.open(key, FENCE, WEEK)
    assert refused.value.reason is Reason.CREDENTIALS


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    ages=st.lists(st.integers(0, 20).map(lambda days: days + 0.5), max_size=12),
    removed=st.sets(st.integers(1, 12)),
    days=st.none() | st.integers(1, 20),
    since=st.none() | st.integers(0, 20),
)
async def test_whatever_was_received_and_removed_counts_and_lists_agree(
    ages: list[float], removed: set[int], days: int | None, since: int | None
) -> None:
    world = MemoryWorld()
    key = await received(world, *ages)
    await world.index.open(key, FENCE)
    await world.index.remove(key, FENCE, sorted(removed))
    bound = min(days if days is not None else 99, since if since is not None else 99)
    drop = await world.index.open(key, FENCE, Shown(days_ago(since) if since is not None else None, days))
    expected = [n for n, ago in enumerate(ages, 1) if n not in removed and ago < bound]
    assert await sequences(world, key, drop) == expected
    assert (drop.messages, drop.octets) == (len(expected), sum(100 + n for n in expected))
