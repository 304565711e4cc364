"""Turns that a class saved up by asking for less than its share: it has them at once, and no more than those. G16."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest

from service.mail.turns import Bounds, Turns

STEPS = 4
SAVINGS = 50.0
TENANTS = tuple(f"busy{number}" for number in range(5))


@pytest.fixture
async def contended() -> AsyncIterator[Turns]:
    """Turns of which five classes always want more, and did for long."""
    turns = Turns("loop", Bounds(STEPS, most=0.5, savings=SAVINGS, reserve=STEPS))

    async def always(whose: str) -> None:
        while True:
            await turns.take(whose)
            await asyncio.sleep(0)
            turns.give_back(whose)

    crowd = [asyncio.create_task(always(whose)) for whose in TENANTS for _ in range(4)]
    while turns._now < 2 * SAVINGS:  # noqa: ASYNC110 - there is no event to wait for
        await asyncio.sleep(0)
    yield turns
    for each in crowd:
        each.cancel()
    with suppress(asyncio.CancelledError):
        await asyncio.gather(*crowd)


async def test_g16_who_asked_for_little_waits_for_none_of_those_that_always_ask(contended: Turns) -> None:
    for _ in range(20):
        assert contended.waiting
        assert contended.try_take("light")
        contended.give_back("light")


async def test_g16_savings_come_to_an_end_and_come_back(contended: Turns) -> None:
    taken = 0
    while contended.try_take("bursts"):
        contended.give_back("bursts")
        taken += 1
    assert SAVINGS / 2 <= taken <= SAVINGS
    behind = contended._now
    while contended._now < behind + SAVINGS:  # noqa: ASYNC110 - there is no event to wait for
        await asyncio.sleep(0)
    assert contended.try_take("bursts")
    contended.give_back("bursts")


async def test_g16_spent_savings_do_not_come_back_because_many_others_came(contended: Turns) -> None:
    while contended.try_take("bursts"):
        contended.give_back("bursts")
    for number in range(1000):
        if contended.try_take(f"other{number}"):
            contended.give_back(f"other{number}")
    assert not contended.try_take("bursts")


async def test_g16_who_always_asks_saves_nothing_up(contended: Turns) -> None:
    for whose in TENANTS:
        assert not contended.try_take(whose)


async def test_no_more_pass_in_one_round_than_the_reserve_has_room_for(contended: Turns) -> None:
    passed = [whose for whose in range(10 * STEPS) if contended.try_take(whose)]
    assert len(passed) <= 2 * STEPS
    for whose in passed:
        contended.give_back(whose)


async def test_without_savings_nobody_passes_those_that_wait() -> None:
    turns = Turns("test", Bounds(1))
    for _ in range(50):
        await turns.take("busy")
        turns.give_back("busy")
    await turns.take("busy")
    waiting = asyncio.create_task(turns.take("busy"))
    await asyncio.sleep(0)
    assert not turns.try_take("light")
    turns.give_back("busy")
    await waiting
