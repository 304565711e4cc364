"""What the way to Redis owes its callers when it ends, and that it goes on to ask Sentinel. F3, F9."""

import asyncio
from collections.abc import Callable, Sequence

import pytest
from redis.asyncio.sentinel import Sentinel, SentinelConnectionPool
from redis.exceptions import ConnectionError as BrokenError

from service.stores.redis.batch import Batcher, Limits
from service.stores.redis.errors import CallFailed
from service.stores.redis.master import MasterWire
from service.stores.redis.scripts import Command, Word

pytestmark = pytest.mark.asyncio


async def silent(_commands: Sequence[tuple[Word, ...]]) -> list[object]:
    await asyncio.Event().wait()
    return []


async def refused() -> object:
    raise BrokenError


async def test_who_stops_waiting_for_the_last_answers_leaves_nobody_without_one() -> None:
    batcher = Batcher(silent, refused, Limits(deadline=60.0, connections=1, batch=1))
    answers = [batcher.submit(Command(("PING",))) for _ in range(3)]
    batcher._breaker.trip()
    healing = batcher._breaker._healing
    finishing = asyncio.create_task(batcher.finish())
    await asyncio.sleep(0.01)
    finishing.cancel()
    async with asyncio.timeout(10):
        await asyncio.gather(finishing, *answers, return_exceptions=True)
    assert [type(answer.exception()) for answer in answers] == [CallFailed] * 3
    assert healing is not None
    assert healing.done()


async def test_f9_sentinel_is_asked_again_whatever_went_wrong_with_a_question(monkeypatch: pytest.MonkeyPatch) -> None:
    make: Callable[..., Sentinel] = Sentinel
    pool = make([("127.0.0.1", 9)]).master_for("mail").connection_pool
    assert isinstance(pool, SentinelConnectionPool)
    answers = iter([("a", 1), ValueError(), RuntimeError(), ("b", 1)])
    asked = asyncio.Event()

    async def ask() -> object:
        answer = next(answers, None)
        if answer is None:
            asked.set()
        if isinstance(answer, Exception):
            raise answer
        return answer or ("b", 1)

    monkeypatch.setattr(pool, "get_master_address", ask)
    wire = MasterWire(pool, every=0.001)
    era = wire._wire._era
    with pytest.raises(BrokenError):
        await wire([("PING",)])
    async with asyncio.timeout(10):
        await asked.wait()
    assert wire._wire._era >= era + 2
    await wire.aclose()


async def test_f3_commands_that_are_not_taken_say_so() -> None:
    batcher = Batcher(silent, refused, Limits(deadline=60.0, connections=1, batch=1, queue=0))
    with pytest.raises(CallFailed):
        batcher.submit(Command(("PING",)))
    with pytest.raises(CallFailed):
        await batcher.together([Command(("PING",))] * 2)
    await batcher.aclose()
