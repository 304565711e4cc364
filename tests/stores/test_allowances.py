"""Every promise of `Allowances`, on the in-memory twin, a real Valkey and a real cluster of three."""

import asyncio
from collections.abc import AsyncIterator
from uuid import UUID, uuid4

import pytest
from redis.asyncio import Redis
from redis.asyncio.cluster import RedisCluster

from service.mail.allowances import DAY_SECONDS, Allowances, Circle
from service.model.account import MaildropKey
from service.stores.memory.allowances import MemoryAllowances
from service.stores.redis import RedisAllowances
from tests.backends.redis_kinds import KINDS, reached
from tests.backends.valkey_group import cluster_of_process, valkey_cluster
from tests.stores.test_maildrop_locks import TurnableClock

__all__ = ["cluster_of_process", "valkey_cluster"]

KEY = MaildropKey(UUID(int=7), UUID(int=8))
LEASE = 30.0
SHIFT = """
for _, member in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
    redis.call('ZINCRBY', KEYS[1], -ARGV[1], member)
end
"""


class OnMemory:
    """The twin, and how to make time pass for it."""

    def __init__(self) -> None:
        self._clock = TurnableClock()
        self.allowances: Allowances = MemoryAllowances(self._clock, LEASE)

    async def let_pass(self, seconds: float) -> None:
        self._clock.passed += seconds


class OnRedis:
    """A real server or cluster; time passes by shortening what every key and every session has left."""

    def __init__(self, allowances: RedisAllowances, client: Redis | RedisCluster) -> None:
        self.allowances: Allowances = allowances
        self._client = client

    async def let_pass(self, seconds: float) -> None:
        async for key in self._client.scan_iter():
            if await self._client.type(key) == b"zset":
                await self._client.eval(SHIFT, 1, key, seconds * 1000)
            await self._client.pexpire(key, await self._client.pttl(key) - round(seconds * 1000))


Backend = OnMemory | OnRedis


@pytest.fixture(params=["memory", *KINDS])
async def backend(request: pytest.FixtureRequest) -> AsyncIterator[Backend]:
    if request.param == "memory":
        yield OnMemory()
        return
    async with reached(request) as there:
        yield OnRedis(RedisAllowances(there.locks.servers, lease_seconds=LEASE), there.client)


@pytest.fixture
def allowances(backend: Backend) -> Allowances:
    return backend.allowances


def circle(limit: int) -> Circle:
    return Circle(uuid4().hex, limit)


async def test_a_circle_takes_as_many_sessions_as_its_limit(allowances: Allowances) -> None:
    full = circle(2)
    assert [await allowances.enter(full, token) for token in ("a", "b", "c")] == [True, True, False]
    await allowances.leave(full.name, "a")
    assert await allowances.enter(full, "c")


async def test_of_many_sessions_at_once_no_more_than_the_limit_are_taken(allowances: Allowances) -> None:
    full = circle(7)
    taken = await asyncio.gather(*(allowances.enter(full, f"session {n}") for n in range(50)))
    assert taken.count(True) == 7


async def test_entering_again_is_harmless(allowances: Allowances) -> None:
    full = circle(1)
    assert [await allowances.enter(full, "a") for _ in range(3)] == [True] * 3


async def test_a_session_that_nobody_renews_makes_room_after_its_time(backend: Backend) -> None:
    full = circle(1)
    await backend.allowances.enter(full, "dead")
    await backend.let_pass(LEASE - 1)
    assert not await backend.allowances.enter(full, "new")
    await backend.let_pass(2)
    assert await backend.allowances.enter(full, "new")


async def test_renewed_sessions_stay_and_the_others_go(backend: Backend) -> None:
    full = circle(2)
    for token in ("alive", "dead"):
        await backend.allowances.enter(full, token)
    await backend.let_pass(LEASE - 10)
    await backend.allowances.stay(full.name, ["alive"])
    await backend.let_pass(20)
    assert await backend.allowances.enter(full, "one more")
    assert not await backend.allowances.enter(full, "one too many")


async def test_a_limit_that_was_lowered_lets_nobody_in_until_enough_have_left(allowances: Allowances) -> None:
    wide = circle(3)
    for token in ("a", "b", "c"):
        await allowances.enter(wide, token)
    narrow = Circle(wide.name, 2)
    await allowances.leave(wide.name, "a")
    assert not await allowances.enter(narrow, "d")
    await allowances.leave(wide.name, "b")
    assert await allowances.enter(narrow, "d")


async def test_a_day_is_used_up_at_its_limit_and_begins_anew_24_hours_after_its_first_octet(backend: Backend) -> None:
    spend = backend.allowances.spend
    assert await spend(KEY, 0, 100) == 0
    assert await spend(KEY, 60, 100) == 0
    await backend.let_pass(3600)
    assert await spend(KEY, 40, 100) == pytest.approx(DAY_SECONDS - 3600, abs=20)
    assert await spend(KEY, 0, 100) > 0
    assert await spend(KEY, 0, 101) == 0
    await backend.let_pass(DAY_SECONDS - 3600 + 1)
    assert await spend(KEY, 0, 100) == 0


async def test_octets_beyond_32_bits_are_counted(allowances: Allowances) -> None:
    other = MaildropKey(KEY.tenant_id, uuid4())
    assert await allowances.spend(other, 2**40, 2**41) == 0
    assert await allowances.spend(other, 2**40, 2**41) > 0


async def test_each_maildrop_has_a_day_of_its_own(allowances: Allowances) -> None:
    one, other = (MaildropKey(KEY.tenant_id, uuid4()) for _ in range(2))
    assert await allowances.spend(one, 10, 10) > 0
    assert await allowances.spend(other, 0, 10) == 0
