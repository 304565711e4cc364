"""The order between the renewal and the release of one lease."""

import asyncio
from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest

from service.mail.ports import Holder, Lease
from service.model.account import MaildropKey
from service.stores.redis import Limits, RedisMaildropLocks
from service.stores.redis.errors import CallFailed
from service.stores.redis.renewals import EXTENDED, FORGOTTEN, LOST, Renewals


def lease() -> Lease:
    holder = Holder("s", "one", "ann@one.example", "192.0.2.1", "PLAIN", "pod/7", datetime(2026, 1, 1, tzinfo=UTC))
    return Lease(MaildropKey(UUID(int=7), uuid4()), uuid4().hex, holder)


class Asked:
    """The questions asked so far, each answered when the test says so."""

    def __init__(self) -> None:
        self.extended: dict[str, asyncio.Future[object]] = {}
        self.taken: dict[str, asyncio.Future[object]] = {}

    def extend(self, lease: Lease) -> "asyncio.Future[object]":
        self.extended[lease.token] = asyncio.get_running_loop().create_future()
        return self.extended[lease.token]

    def take(self, lease: Lease) -> "asyncio.Future[object]":
        self.taken[lease.token] = asyncio.get_running_loop().create_future()
        return self.taken[lease.token]


async def turns() -> None:
    """Let everything run that can."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_a_release_waits_for_the_renewal_of_its_lease_under_way() -> None:
    asked, mine = Asked(), lease()
    renewals = Renewals(asked.extend, asked.take, 10)
    renewal = asyncio.create_task(renewals.renew([mine]))
    await turns()
    leaving = renewals.leave(mine)
    await turns()
    assert leaving is not None
    assert not leaving.done()
    asked.extended[mine.token].set_result(FORGOTTEN)
    await turns()
    assert not leaving.done()
    asked.taken[mine.token].set_result(1)
    await leaving
    assert (await renewal).lost == []


async def test_a_released_lease_is_skipped_by_the_rounds_to_come() -> None:
    asked, first, second = Asked(), lease(), lease()
    renewals = Renewals(asked.extend, asked.take, 1)
    renewal = asyncio.create_task(renewals.renew([first, second]))
    await turns()
    renewals.leave(second)
    asked.extended[first.token].set_result(LOST)
    assert (await renewal).lost == [first]
    assert second.token not in asked.extended


async def test_a_release_waits_even_when_the_renewal_was_cancelled() -> None:
    asked, mine = Asked(), lease()
    renewals = Renewals(asked.extend, asked.take, 10)
    renewal = asyncio.create_task(renewals.renew([mine]))
    await turns()
    renewal.cancel()
    leaving = renewals.leave(mine)
    await turns()
    assert leaving is not None
    assert renewal.cancelled()
    assert not leaving.done()
    asked.extended[mine.token].set_result(EXTENDED)
    await leaving


async def test_a_release_of_a_lease_that_nobody_renews_waits_for_nothing() -> None:
    asked = Asked()
    assert Renewals(asked.extend, asked.take, 10).leave(lease()) is None


async def test_a_round_that_fails_loses_nothing_and_hides_no_loss_in_another() -> None:
    asked, first, second = Asked(), lease(), lease()
    renewals = Renewals(asked.extend, asked.take, 1)
    renewal = asyncio.create_task(renewals.renew([first, second]))
    await turns()
    asked.extended[first.token].set_exception(CallFailed("timeout"))
    await turns()
    asked.extended[second.token].set_result(LOST)
    assert (await renewal).lost == [second]


async def test_when_no_lease_could_be_asked_for_the_renewal_fails() -> None:
    def out_of_reach(lease: Lease) -> "asyncio.Future[object]":
        raise CallFailed("breaker")

    with pytest.raises(CallFailed):
        await Renewals(out_of_reach, out_of_reach, 1).renew([lease(), lease()])


@pytest.mark.asyncio(loop_factories=["asyncio", "uvloop"])
async def test_more_leases_than_fit_into_a_pipeline_or_the_queue_are_renewed(redis_url: str) -> None:
    locks = RedisMaildropLocks(redis_url, limits=Limits(deadline=20.0, batch=50, connections=2, queue=150))
    leases = [lease() for _ in range(730)]
    for begin in range(0, len(leases), 100):
        await asyncio.gather(*map(locks.acquire, leases[begin : begin + 100]))
    assert (await locks.renew(leases)).lost == []
    assert len(await locks.holders()) == 730
    await asyncio.gather(locks.renew(leases), *map(locks.release, leases[:100]))
    assert len(await locks.holders()) == 630
    await locks.aclose()
