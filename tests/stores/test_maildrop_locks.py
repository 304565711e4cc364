"""Every promise of `MaildropLocks`, on the in-memory twin, a real Valkey and a real cluster of three."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from redis.asyncio import Redis
from redis.asyncio.cluster import RedisCluster

from service.mail.evicting import LiveSessions
from service.mail.ports import Holder, Lease, MaildropLocks
from service.model.account import MaildropKey
from service.stores.memory.locks import MemoryMaildropLocks
from service.stores.redis import RedisMaildropLocks
from tests.backends.redis_kinds import KINDS, LEASE, reached
from tests.backends.valkey_group import cluster_of_process, valkey_cluster

__all__ = ["cluster_of_process", "valkey_cluster"]

TENANT = UUID(int=7)


class TurnableClock:
    """A clock that moves only when it is told to."""

    def __init__(self) -> None:
        self.passed = 0.0

    def now(self) -> datetime:
        return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=self.passed)

    def monotonic(self) -> float:
        return self.passed


class OnMemory:
    """The twin, and how to make time pass for it."""

    def __init__(self) -> None:
        self._clock = TurnableClock()
        self._twin = MemoryMaildropLocks(self._clock, LEASE)
        self.locks: MaildropLocks = self._twin
        self.sessions: LiveSessions = self._twin

    async def let_pass(self, seconds: float) -> None:
        self._clock.passed += seconds

    async def lose_all(self) -> None:
        self._twin.forget()

    async def lose_lock(self, lease: Lease) -> None:
        await self.lose_all()


class OnRedis:
    """A real server or cluster; time passes by shortening what every key has left to live."""

    def __init__(self, locks: RedisMaildropLocks, client: Redis | RedisCluster) -> None:
        self.locks: MaildropLocks = locks
        self.sessions: LiveSessions = locks
        self._client = client

    async def let_pass(self, seconds: float) -> None:
        async for key in self._client.scan_iter():
            left = await self._client.pttl(key)
            await self._client.pexpire(key, left - round(seconds * 1000))

    async def lose_all(self) -> None:
        await self._client.flushall()
        await self._client.script_flush()

    async def lose_lock(self, lease: Lease) -> None:
        """As when it runs out a millisecond before the session's entry does."""
        async for key in self._client.scan_iter():
            if await self._client.get(key) == lease.token.encode():
                await self._client.delete(key)


Backend = OnMemory | OnRedis


@pytest.fixture(params=["memory", *KINDS])
async def backend(request: pytest.FixtureRequest) -> AsyncIterator[Backend]:
    if request.param == "memory":
        yield OnMemory()
        return
    async with reached(request) as there:
        yield OnRedis(there.locks, there.client)


@pytest.fixture
def locks(backend: Backend) -> MaildropLocks:
    return backend.locks


def holder(address: str = "ann@one.example", since: int = 0) -> Holder:
    moment = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=since)
    return Holder(uuid4().hex, "one", address, "192.0.2.1", "PLAIN", "pod-1/7", moment)


def lease(key: MaildropKey | None = None, since: int = 0) -> Lease:
    return Lease(key or MaildropKey(TENANT, uuid4()), uuid4().hex, holder(since=since))


async def test_a_free_maildrop_can_be_acquired_by_one_session_only(locks: MaildropLocks) -> None:
    first = lease()
    assert await locks.acquire(first)
    assert not await locks.acquire(lease(first.key))


async def test_acquiring_again_under_the_same_token_is_harmless(locks: MaildropLocks) -> None:
    mine = lease()
    assert await locks.acquire(mine)
    assert await locks.acquire(mine)


async def test_of_many_sessions_at_once_exactly_one_acquires_the_maildrop(locks: MaildropLocks) -> None:
    key = MaildropKey(TENANT, uuid4())
    won = await asyncio.gather(*(locks.acquire(lease(key)) for _ in range(50)))
    assert won.count(True) == 1


async def test_maildrops_of_different_tenants_are_independent(locks: MaildropLocks) -> None:
    first = lease()
    other = lease(MaildropKey(UUID(int=8), first.key.maildrop_id))
    assert await locks.acquire(first)
    assert await locks.acquire(other)


async def test_a_released_maildrop_is_free_at_once(locks: MaildropLocks) -> None:
    first = lease()
    await locks.acquire(first)
    assert await locks.release(first)
    assert await locks.acquire(lease(first.key))


async def test_a_release_under_another_token_frees_nothing(locks: MaildropLocks) -> None:
    first = lease()
    await locks.acquire(first)
    assert not await locks.release(lease(first.key))
    assert not await locks.acquire(lease(first.key))


async def test_releasing_twice_is_harmless(locks: MaildropLocks) -> None:
    first, second = lease(), lease()
    second = second._replace(key=first.key)
    await locks.acquire(first)
    await locks.release(first)
    await locks.acquire(second)
    assert not await locks.release(first)
    assert (await locks.renew([second])).lost == []
    assert not await locks.acquire(lease(first.key))


async def test_g6_a_lease_that_is_not_renewed_ends_within_30_seconds(backend: Backend) -> None:
    first = lease()
    await backend.locks.acquire(first)
    await backend.let_pass(25)
    assert not await backend.locks.acquire(lease(first.key))
    await backend.let_pass(5.001)
    assert await backend.locks.acquire(lease(first.key))


async def test_a_renewed_lease_lives_on(backend: Backend) -> None:
    first = lease()
    await backend.locks.acquire(first)
    await backend.let_pass(25)
    assert (await backend.locks.renew([first])).lost == []
    await backend.let_pass(25)
    assert not await backend.locks.acquire(lease(first.key))
    assert len(await backend.locks.holders()) == 1


async def test_renewal_returns_exactly_the_lost_leases(backend: Backend) -> None:
    mine = [lease() for _ in range(20)]
    for each in mine:
        await backend.locks.acquire(each)
    await backend.let_pass(31)
    for lost in mine[3:5]:
        await backend.locks.acquire(lease(lost.key))
    assert (await backend.locks.renew(mine)).lost == mine[3:5]


async def test_renewing_nothing_loses_nothing(locks: MaildropLocks) -> None:
    assert (await locks.renew([])).lost == []


async def test_a_forgotten_lease_is_taken_again_by_its_renewal(backend: Backend) -> None:
    mine = lease()
    await backend.locks.acquire(mine)
    await backend.lose_all()
    assert (await backend.locks.renew([mine])).lost == []
    assert not await backend.locks.acquire(lease(mine.key))
    assert list(await backend.locks.holders()) == [mine.holder]


async def test_a_forgotten_lease_that_another_session_took_is_lost(backend: Backend) -> None:
    mine = lease()
    await backend.locks.acquire(mine)
    await backend.lose_all()
    assert await backend.locks.acquire(lease(mine.key))
    assert (await backend.locks.renew([mine])).lost == [mine]


async def test_a_renewal_tells_which_leases_nobody_held(backend: Backend) -> None:
    mine = [lease() for _ in range(4)]
    for each in mine:
        await backend.locks.acquire(each)
    await backend.let_pass(31)
    await backend.locks.acquire(mine[0])
    await backend.locks.acquire(lease(mine[1].key))
    renewal = await backend.locks.renew(mine)
    assert (list(renewal.lost), list(renewal.regained), list(renewal.unanswered)) == ([mine[1]], mine[2:], [])
    assert list((await backend.locks.renew(mine[2:])).regained) == []


async def test_a_session_that_comes_back_into_a_gap_is_listed_in_place_of_who_was_there_meanwhile(
    backend: Backend,
) -> None:
    paused, visitor = lease(), lease()
    visitor = visitor._replace(key=paused.key)
    await backend.locks.acquire(paused)
    await backend.let_pass(30.001)
    await backend.locks.acquire(visitor)
    await backend.lose_lock(visitor)
    assert (await backend.locks.renew([paused])).regained == [paused]
    assert list(await backend.locks.holders()) == [paused.holder]


async def test_g4_a_seized_lease_is_lost_to_who_held_it(locks: MaildropLocks) -> None:
    older = lease()
    newest = lease(older.key)
    await locks.acquire(older)
    assert await locks.seize(newest)
    assert list((await locks.renew([older, newest])).lost) == [older]
    assert list(await locks.holders()) == [newest.holder]
    await locks.release(older)
    assert not await locks.acquire(older)


async def test_a_free_lease_can_be_seized(locks: MaildropLocks) -> None:
    mine = lease()
    assert await locks.seize(mine)
    assert not await locks.acquire(lease(mine.key))


async def test_what_staff_evicted_is_not_seized(locks: MaildropLocks) -> None:
    mine = lease()
    await locks.acquire(mine)
    await locks.evict(mine.key)
    assert not await locks.seize(mine)
    assert not await locks.acquire(lease(mine.key))


async def test_holders_are_listed_oldest_first_with_all_that_staff_see(locks: MaildropLocks) -> None:
    leases = [lease(since=second) for second in (30, 10, 20)]
    for each in leases:
        await locks.acquire(each)
    expected = sorted((each.holder for each in leases), key=lambda one: one.since)
    assert list(await locks.holders()) == expected


async def test_staff_find_who_holds_a_maildrop_and_what_was_held_under_an_address(backend: Backend) -> None:
    first, second, other = lease(since=1), lease(since=2), lease()
    other = other._replace(holder=holder("bob@one.example"))
    for each in (second, first, other):
        await backend.locks.acquire(each)
    assert await backend.sessions.holder(first.key) == first.holder
    held = [(each.key, each.holder) for each in (first, second)]
    assert list(await backend.sessions.held_as("ann@one.example")) == held
    await backend.locks.evict(first.key)
    assert await backend.sessions.holder(first.key) is None
    assert list(await backend.sessions.held_as("ann@one.example")) == held[1:]


async def test_a_released_session_is_no_longer_listed(locks: MaildropLocks) -> None:
    mine = lease()
    await locks.acquire(mine)
    await locks.release(mine)
    assert list(await locks.holders()) == []


async def test_a_refused_session_does_not_replace_the_holder(locks: MaildropLocks) -> None:
    mine = lease()
    await locks.acquire(mine)
    await locks.acquire(lease(mine.key))
    assert list(await locks.holders()) == [mine.holder]


async def test_an_evicted_holder_loses_its_lease_at_the_next_renewal(backend: Backend) -> None:
    mine = lease()
    await backend.locks.acquire(mine)
    await backend.let_pass(9)
    assert await backend.locks.evict(mine.key)
    await backend.let_pass(10)
    assert (await backend.locks.renew([mine])).lost == [mine]


async def test_an_evicted_holder_that_missed_renewals_loses_its_lease_all_the_same(backend: Backend) -> None:
    mine = lease()
    await backend.locks.acquire(mine)
    assert await backend.locks.evict(mine.key)
    await backend.let_pass(29)
    assert (await backend.locks.renew([mine])).lost == [mine]


async def test_an_evicted_maildrop_is_free_for_others_once_its_holder_released_it(locks: MaildropLocks) -> None:
    mine, other = lease(), lease()
    other = other._replace(key=mine.key)
    await locks.acquire(mine)
    await locks.evict(mine.key)
    await locks.release(other)
    assert not await locks.acquire(other)
    await locks.release(mine)
    assert await locks.acquire(other)
    await locks.release(mine)
    assert not await locks.acquire(mine)


@pytest.mark.parametrize("late", [0, 10, 20])
async def test_g6_an_eviction_keeps_nobody_waiting_longer_than_the_lease_had_left(backend: Backend, late: int) -> None:
    """Of a dead holder it may come late: the maildrop is free within a lease from the death all the same."""
    mine = lease()
    await backend.locks.acquire(mine)
    await backend.let_pass(late)
    assert await backend.locks.evict(mine.key)
    assert list(await backend.locks.holders()) == []
    await backend.let_pass((30 - late) / 2)
    assert not await backend.locks.acquire(lease(mine.key))
    await backend.let_pass((30 - late) / 2 + 0.001)
    assert await backend.locks.acquire(lease(mine.key))


async def test_an_evicted_holder_whose_lease_ran_out_meanwhile_is_out_all_the_same(backend: Backend) -> None:
    mine = lease()
    await backend.locks.acquire(mine)
    await backend.let_pass(20)
    assert await backend.locks.evict(mine.key)
    await backend.let_pass(15)
    renewal = await backend.locks.renew([mine])
    assert (renewal.lost, list(renewal.regained)) == ([mine], [])
    assert not await backend.locks.seize(mine)
    assert list(await backend.locks.holders()) == []
    other = lease(mine.key)
    assert await backend.locks.acquire(other)
    assert list(await backend.locks.holders()) == [other.holder]


async def test_a_new_session_may_seize_what_an_evicted_one_had(backend: Backend) -> None:
    mine, other = lease(), lease()
    other = other._replace(key=mine.key)
    await backend.locks.acquire(mine)
    await backend.let_pass(20)
    await backend.locks.evict(mine.key)
    assert not await backend.locks.seize(other)
    await backend.let_pass(10.001)
    assert await backend.locks.seize(other)
    assert (await backend.locks.renew([other, mine])).lost == [mine]


async def test_g5_who_paused_while_another_came_and_was_evicted_is_told_of_it(backend: Backend) -> None:
    paused, visitor = lease(), lease()
    visitor = visitor._replace(key=paused.key)
    await backend.locks.acquire(paused)
    await backend.let_pass(30.001)
    assert await backend.locks.acquire(visitor)
    await backend.let_pass(20)
    assert await backend.locks.evict(visitor.key)
    await backend.let_pass(10.001)
    renewal = await backend.locks.renew([paused])
    assert (list(renewal.lost), list(renewal.regained)) == ([paused], [])
    assert list(await backend.locks.holders()) == []


async def test_an_eviction_stands_however_many_who_stood_still_renew_before_the_one_who_was_evicted(
    backend: Backend,
) -> None:
    """Its mark went with the first one's renewal; when that lease was over too, the evicted one took its own again."""
    first, evicted = lease(), lease()
    evicted = evicted._replace(key=first.key)
    await backend.locks.acquire(first)
    await backend.let_pass(30.001)
    assert await backend.locks.acquire(evicted)
    await backend.let_pass(20)
    assert await backend.locks.evict(first.key)
    await backend.let_pass(10.001)
    await backend.locks.renew([first])
    await backend.locks.release(first)
    assert (await backend.locks.renew([evicted])).lost == [evicted]


async def test_who_left_in_order_after_an_eviction_leaves_no_mark_of_it(backend: Backend) -> None:
    paused, visitor = lease(), lease()
    visitor = visitor._replace(key=paused.key)
    await backend.locks.acquire(paused)
    await backend.let_pass(30.001)
    await backend.locks.acquire(visitor)
    await backend.locks.evict(visitor.key)
    await backend.locks.release(visitor)
    assert (await backend.locks.renew([paused])).regained == [paused]
    assert list(await backend.locks.holders()) == [paused.holder]


async def test_evicting_twice_does_not_lock_the_maildrop_longer(backend: Backend) -> None:
    mine = lease()
    await backend.locks.acquire(mine)
    await backend.locks.evict(mine.key)
    await backend.let_pass(10)
    assert not await backend.locks.evict(mine.key)
    await backend.let_pass(20.001)
    assert await backend.locks.acquire(lease(mine.key))


async def test_nobody_is_evicted_from_a_free_maildrop(locks: MaildropLocks) -> None:
    key = MaildropKey(TENANT, uuid4())
    assert not await locks.evict(key)
    assert await locks.acquire(lease(key))


async def test_login_delay_is_enforced_and_starts_anew(backend: Backend) -> None:
    """RFC 2449 §6.5."""
    key = MaildropKey(TENANT, uuid4())
    assert await backend.locks.may_log_in(key, 60, 1)
    assert not await backend.locks.may_log_in(key, 60, 1)
    await backend.let_pass(59)
    assert not await backend.locks.may_log_in(key, 60, 1)
    await backend.let_pass(1.001)
    assert await backend.locks.may_log_in(key, 60, 1)
    assert not await backend.locks.may_log_in(key, 60, 1)


async def test_as_many_logins_as_the_bucket_holds_may_follow_each_other_at_once(backend: Backend) -> None:
    """RFC 2449 §6.5 sets the rate; the bucket forgives who comes twice and then stays away."""
    key = MaildropKey(TENANT, uuid4())
    assert [await backend.locks.may_log_in(key, 60, 2) for _ in range(3)] == [True, True, False]
    await backend.let_pass(60.001)
    assert [await backend.locks.may_log_in(key, 60, 2) for _ in range(2)] == [True, False]
    await backend.let_pass(121)
    assert [await backend.locks.may_log_in(key, 60, 2) for _ in range(3)] == [True, True, False]


async def test_without_a_login_delay_nobody_waits(locks: MaildropLocks) -> None:
    key = MaildropKey(TENANT, uuid4())
    assert [await locks.may_log_in(key, 0, 1) for _ in range(3)] == [True] * 3


async def test_a_login_delay_is_each_maildrops_own(locks: MaildropLocks) -> None:
    assert await locks.may_log_in(MaildropKey(TENANT, uuid4()), 60, 1)
    assert await locks.may_log_in(MaildropKey(TENANT, uuid4()), 60, 1)


Step = Callable[[MaildropLocks, Lease], Awaitable[object]]


@pytest.mark.parametrize(
    "step",
    [
        lambda locks, mine: locks.release(mine),
        lambda locks, mine: locks.renew([mine]),
        lambda locks, mine: locks.may_log_in(mine.key, 60, 1),
    ],
    ids=["release", "renew", "may_log_in"],
)
async def test_nothing_but_acquire_takes_a_maildrop_from_its_holder(locks: MaildropLocks, step: Step) -> None:
    mine = lease()
    await locks.acquire(mine)
    await step(locks, lease(mine.key))
    assert (await locks.renew([mine])).lost == []
