"""A lease and the standing of who asks for it, in one go: memory, a real Valkey, a cluster of three. G4, G6, F3, F13.

RFC 1939 §4: a maildrop is one session's at a time.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

import pytest

from service.mail.again import Entrance
from service.mail.attempts import Attempts, Charge
from service.mail.ports import MaildropLocks
from service.model.attempts import Kind, Subject
from service.stores.memory.attempts import MemoryAttempts
from service.stores.memory.entrance import MemoryEntrance
from service.stores.memory.locks import MemoryMaildropLocks
from service.stores.redis import RedisAttempts, RedisEntrance, RedisMaildropLocks
from service.stores.redis.batch import Batcher, Limits
from service.stores.redis.scripts import ACQUIRE, RELEASE, Word
from service.stores.redis.servers import Cluster
from tests.backends.redis_kinds import KINDS, reached
from tests.backends.relay import relay_to
from tests.backends.valkey_group import cluster_of_process, valkey_cluster
from tests.mail.provider import SetClock
from tests.stores.test_redis_faults import PATIENT, SHORT, eventually, lease

__all__ = ["cluster_of_process", "valkey_cluster"]

pytestmark = pytest.mark.asyncio
PAIR = Subject(Kind.PAIR, "zoë@acme.example 192.0.2.1")


@dataclass
class Door:
    """The entrance and what it leads to."""

    entrance: Entrance
    locks: MaildropLocks
    attempts: Attempts


def on_redis(locks: RedisMaildropLocks) -> Door:
    attempts = RedisAttempts(locks.servers)
    return Door(RedisEntrance(locks, attempts), locks, attempts)


@pytest.fixture(params=["memory", *KINDS])
async def door(request: pytest.FixtureRequest) -> AsyncIterator[Door]:
    if request.param == "memory":
        locks, attempts = MemoryMaildropLocks(SetClock()), MemoryAttempts(SetClock())
        yield Door(MemoryEntrance(locks, attempts), locks, attempts)
        return
    async with reached(request) as there:
        yield on_redis(there.locks)


async def test_who_is_first_has_the_lease_and_nothing_is_held_against_who_never_failed(door: Door) -> None:
    mine = lease()
    assert await door.entrance.ask(mine, PAIR) == 0.0
    assert await door.entrance.ask(lease(mine.key), PAIR) is None
    assert await door.locks.release(mine)
    assert await door.locks.acquire(lease(mine.key))


async def test_who_opened_it_from_there_lately_is_known_for_as_long_as_the_scores_say(door: Door) -> None:
    await door.attempts.opened(PAIR, 60.0)
    known = await door.entrance.ask(lease(), PAIR)
    assert known is not None
    assert 50.0 < known <= 60.0


async def test_whatever_is_held_against_a_pair_keeps_it_from_being_let_in_though_it_has_the_lease(door: Door) -> None:
    await door.attempts.opened(PAIR, 60.0)
    await door.attempts.count([Charge(PAIR, 2.0, 10.0)])
    mine = lease()
    assert await door.entrance.ask(mine, PAIR) is None
    assert await door.locks.release(mine)
    await door.attempts.opened(PAIR, 60.0)
    assert await door.entrance.ask(lease(), PAIR) is not None


async def test_where_nobody_is_counted_the_lease_alone_is_asked_for(door: Door) -> None:
    mine = lease()
    assert await door.entrance.ask(mine, None) == 0.0
    assert await door.entrance.ask(lease(mine.key), None) is None
    assert await door.locks.release(mine)


async def test_f3_what_can_t_be_told_is_nobody_s(redis_url: str) -> None:
    port = urlsplit(redis_url).port or 0
    async with relay_to(port) as relay:
        locks = RedisMaildropLocks(redis_url.replace(f":{port}", f":{relay.port}"), limits=SHORT)
        relay.fall_silent()
        assert await on_redis(locks).entrance.ask(lease(), PAIR) is None
        assert await on_redis(locks).entrance.ask(lease(), PAIR) is None, "at once, as nobody answers there"
        relay.speak()
        await locks.aclose()


@pytest.mark.parametrize("turns", range(3))
async def test_f13_who_stops_waiting_leaves_the_maildrop_free(redis_url: str, turns: int) -> None:
    locks = RedisMaildropLocks(redis_url, limits=replace(PATIENT, connections=1))
    await locks.ping()
    mine = lease()
    login = asyncio.create_task(on_redis(locks).entrance.ask(mine, PAIR))
    for _ in range(turns):
        await asyncio.sleep(0)
    login.cancel()
    await asyncio.gather(login, return_exceptions=True)
    assert login.cancelled()
    await eventually(lambda: locks.acquire(lease(mine.key)))
    await locks.aclose()


class Nodes(Cluster):
    """Two nodes of a cluster: the one that keeps leases answers when the test says so, the other one is away."""

    def __init__(self) -> None:
        self.may = asyncio.Event()
        self.reached: list[Word] = []
        self._here = Batcher(self._answer, self.may.wait, Limits(deadline=60.0))
        self._away = Batcher(self._answer, self.may.wait, Limits(deadline=60.0))
        self._away._breaker.trip()

    def keeping(self, key: str) -> Batcher:
        return self._here if key.startswith("lock") else self._away

    async def aclose(self) -> None:
        await self._here.aclose()
        await self._away.aclose()

    async def _answer(self, commands: Sequence[tuple[Word, ...]]) -> list[object]:
        if not self.reached:
            # A connection is opened for it; what comes next may have one at hand.
            await self.may.wait()
        self.reached += [words[1] for words in commands]
        return [1] * len(commands)


async def test_f13_what_cannot_be_told_is_not_said_before_the_lease_was_answered() -> None:
    nodes, locks = Nodes(), RedisMaildropLocks("redis://127.0.0.1:1")
    locks._servers = nodes
    mine = lease()
    asking = asyncio.create_task(RedisEntrance(locks, RedisAttempts(nodes)).ask(mine, PAIR))
    for _ in range(9):
        await asyncio.sleep(0)
    assert not asking.done()
    nodes.may.set()
    assert await asking is None
    await locks.release(mine)
    assert nodes.reached == [ACQUIRE.digest, RELEASE.digest]
    await locks.aclose()
