"""Leases that could not be given back when their sessions ended are given back soon after the store is back. F3; G6.

RFC 1939 §6: after UPDATE the server "then releases any exclusive-access lock on the maildrop".
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest

from service.mail import unreleased
from service.mail.allowances import Places
from service.mail.leases import Leases
from service.mail.ports import Holder, Lease
from service.mail.unreleased import PAUSE, TRIES, Unreleased
from service.model.account import MaildropKey
from service.model.refusal import Reason, Refusal
from service.stores.memory.allowances import MemoryAllowances
from tests.mail.provider import SetClock
from tests.mail.test_leases import Severable, a_house

pytestmark = pytest.mark.asyncio


async def left_by(locks: Severable, sessions: int) -> tuple[Unreleased, Sequence[Lease]]:
    """So many sessions that are over, whose leases are still held."""
    holder = Holder("", "one", "ann@one.example", "192.0.2.1", "PLAIN", "pod-1/7", datetime(2026, 1, 1, tzinfo=UTC))
    leases = [Lease(MaildropKey(UUID(int=7), uuid4()), uuid4().hex, holder) for _ in range(sessions)]
    left = Unreleased()
    for lease in leases:
        assert await locks.acquire(lease)
        left.add(lease)
    return left, leases


async def test_g6_a_maildrop_whose_release_failed_is_free_at_the_next_renewal_that_reaches_the_store() -> None:
    house = await a_house()
    held = await house.session("only")
    house.locks.away = True
    await house.update.close(held)
    await house.renew()
    house.locks.away = False
    with pytest.raises(Refusal) as refused:
        await house.session("early")
    assert refused.value.reason is Reason.IN_USE
    await house.renew()
    assert (await house.session("next")).guarded


async def test_g6_a_release_that_never_succeeds_is_not_tried_for_ever() -> None:
    house = await a_house()
    held = await house.session("only")
    house.locks.away = True
    await house.update.close(held)
    for _ in range(TRIES):
        assert len(house.leases._unreleased) == 1
        await house.renew()
    assert len(house.leases._unreleased) == 0


async def test_g6_a_maildrop_whose_release_failed_is_free_before_the_next_renewal() -> None:
    house = await a_house()
    first = await house.session("only")
    house.locks.away = True
    await house.update.close(first)
    house.locks.released_in_vain.clear()
    releasing = asyncio.create_task(house.leases.keep_releasing())
    await house.locks.released_in_vain.wait()
    house.locks.away = False
    await house.locks.released.wait()
    second = await house.session("next")
    assert second.guarded
    house.locks.released.clear()
    house.locks.away = True
    await house.update.close(second)
    house.locks.away = False
    await house.locks.released.wait()
    assert (await house.session("after another outage")).guarded
    releasing.cancel()


async def test_g6_a_process_that_ends_frees_what_it_could_not_free_before() -> None:
    house = await a_house()
    held = await house.session("only")
    house.locks.away = True
    await house.update.close(held)
    house.locks.released_in_vain.clear()
    ending = asyncio.create_task(house.leases.finish())
    await house.locks.released_in_vain.wait()
    house.locks.away = False
    await ending
    assert (await house.session("next")).guarded


async def test_g6_a_process_that_ends_waits_for_a_store_that_is_away_only_for_a_moment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(unreleased, "LAST", PAUSE / 2)
    house = await a_house()
    held = await house.session("only")
    house.locks.away = True
    await house.update.close(held)
    await house.leases.finish()
    assert len(house.leases._unreleased) == 1


@pytest.mark.parametrize("work", [Leases.keep_releasing, Leases.renew])
async def test_g6_what_is_being_tried_when_a_process_ends_is_freed_all_the_same(
    work: Callable[[Leases], Awaitable[None]],
) -> None:
    house = await a_house()
    held = await house.session("only")
    house.locks.away = True
    await house.update.close(held)
    house.locks.away = False
    asked = asyncio.Event()

    async def unanswered() -> None:
        asked.set()
        await asyncio.Event().wait()

    house.locks.before_releasing = unanswered
    trying = asyncio.ensure_future(work(house.leases))
    await asked.wait()
    trying.cancel()
    await asyncio.wait({trying})
    house.locks.before_releasing = None
    await house.leases.finish()
    assert (await house.session("next")).guarded


async def test_g6_a_session_that_is_cancelled_while_it_frees_its_maildrop_frees_it_all_the_same() -> None:
    house = await a_house()
    held = await house.session("only")
    asked = asyncio.Event()

    async def unanswered() -> None:
        asked.set()
        await asyncio.Event().wait()

    house.locks.before_releasing = unanswered
    ending = asyncio.ensure_future(house.update.close(held))
    await asked.wait()
    ending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await ending
    house.locks.before_releasing = None
    house.locks.released.clear()
    releasing = asyncio.create_task(house.leases.keep_releasing())
    await house.locks.released.wait()
    assert (await house.session("next")).guarded
    releasing.cancel()


async def test_g6_a_session_that_is_cancelled_while_it_gives_back_its_place_frees_its_maildrop() -> None:
    house = await a_house()
    held = await house.session("only")
    asked = asyncio.Event()

    class Slow(Places):
        def __contains__(self, token: str) -> bool:
            return True

        async def give_back(self, token: str) -> None:
            asked.set()
            await asyncio.Event().wait()

    house.leases._places = Slow(MemoryAllowances(house.clock))
    ending = asyncio.ensure_future(house.update.close(held))
    await asked.wait()
    ending.cancel()
    await asyncio.wait({ending})
    house.leases._places = None
    await house.leases.finish()
    assert (await house.session("next")).guarded


@pytest.mark.parametrize("at_its_end", [True, False])
async def test_g6_a_process_that_ends_frees_what_its_sessions_still_hold(at_its_end: bool) -> None:
    """One may be freeing it just then, another may wait for Postgres longer than the process does."""
    house = await a_house()
    held = await house.session("only")
    asked = asyncio.Event()

    async def unanswered() -> None:
        if not asked.is_set():
            asked.set()
            await asyncio.Event().wait()

    house.locks.before_releasing = unanswered
    ending = asyncio.ensure_future(house.update.close(held)) if at_its_end else None
    if ending is not None:
        await asked.wait()
    asked.set()
    await house.leases.finish()
    assert (await house.session("next")).guarded
    if ending is not None:
        ending.cancel()


async def test_g6_a_maildrop_that_is_being_taken_back_when_a_process_ends_is_freed() -> None:
    """F3: its newest session came and went without a lease; an older one elsewhere is to be told so."""
    house = await a_house()
    house.locks.away = True
    await house.update.close(await house.session("newest"))
    house.locks.away = False
    await house.leases.renew()
    assert len(house.leases._unreleased) == 0
    granted = asyncio.Event()

    async def unanswered() -> None:
        granted.set()
        await asyncio.Event().wait()

    house.locks.after_seizing = unanswered
    judging = asyncio.create_task(house.leases.judge())
    await granted.wait()
    judging.cancel()
    await asyncio.wait({judging})
    await house.leases.finish()
    assert (await house.session("next")).guarded


async def test_g6_all_that_are_being_tried_when_a_process_ends_are_freed() -> None:
    locks = Severable(SetClock())
    left, _ = await left_by(locks, 5)
    asked = asyncio.Event()

    async def unanswered() -> None:
        if locks.released.is_set():
            asked.set()
            await asyncio.Event().wait()

    locks.before_releasing = unanswered
    keeping = asyncio.create_task(left.keep(locks))
    await asked.wait()
    keeping.cancel()
    await asyncio.wait({keeping})
    assert len(await locks.holders()) == 4
    locks.before_releasing = None
    await left.finish(locks)
    assert await locks.holders() == []


async def test_of_more_than_are_kept_the_oldest_are_left_to_their_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unreleased, "MOST", 3)
    locks = Severable(SetClock())
    left, leases = await left_by(locks, 5)
    assert len(left) == 3
    await left.finish(locks)
    assert [await locks.acquire(Lease(each.key, "other", each.holder)) for each in leases] == [False] * 2 + [True] * 3


async def test_they_are_given_back_in_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unreleased, "BATCH", 4)
    locks = Severable(SetClock())
    left, _ = await left_by(locks, 10)
    at_once: list[int] = []
    under_way = 0

    async def counted() -> None:
        nonlocal under_way
        at_once.append(under_way := under_way + 1)
        await asyncio.sleep(0)
        under_way -= 1

    locks.before_releasing = counted
    await left.try_again(locks)
    assert (len(left), max(at_once)) == (6, 4)
    await left.finish(locks)
    assert (len(left), max(at_once), len(at_once)) == (0, 4, 10)


async def test_no_batch_follows_one_of_which_none_was_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unreleased, "BATCH", 4)
    monkeypatch.setattr(unreleased, "LAST", PAUSE / 2)
    locks = Severable(SetClock())
    left, _ = await left_by(locks, 10)
    asked = 0

    async def away_after_the_first() -> None:
        nonlocal asked
        locks.away, asked = asked > 0, asked + 1

    locks.before_releasing = away_after_the_first
    await left.finish(locks)
    assert (len(left), asked) == (9, 5)
    locks.before_releasing, locks.away = None, False
    await left.finish(locks)
    assert len(left) == 0
