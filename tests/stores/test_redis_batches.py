"""What the way to Redis owes its callers when it ends, and that it goes on to ask Sentinel. F3, F9."""

import asyncio
import gc
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import cast

import pytest
from redis.asyncio import Redis
from redis.asyncio.sentinel import Sentinel, SentinelConnectionPool
from redis.exceptions import ConnectionError as BrokenError
from redis.exceptions import NoScriptError

from service.stores.redis.batch import Batcher, Limits
from service.stores.redis.errors import CallFailed
from service.stores.redis.line import Asker, Line
from service.stores.redis.master import MasterWire
from service.stores.redis.scripts import ACQUIRE, Command, Word
from service.stores.redis.servers import OneServer

pytestmark = pytest.mark.asyncio


async def silent(_commands: Sequence[tuple[Word, ...]]) -> list[object]:
    await asyncio.Event().wait()
    return []


async def refused() -> object:
    raise BrokenError


async def test_who_stops_waiting_for_the_last_answers_leaves_nobody_without_one() -> None:
    batcher = Batcher(silent, refused, Limits(deadline=60.0, connections=1, batch=1))
    answers = [batcher.submit(("PING",)) for _ in range(3)]
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
        batcher.submit(("PING",))
    with pytest.raises(CallFailed):
        await batcher.together([("PING",)] * 2)
    await batcher.aclose()


class OneLine:
    """Connections, of which one is at hand; what it is asked is answered by the test."""

    def __init__(self) -> None:
        self.asker: Asker | None = None
        self._at_hand = True

    def send(self, octets: bytes, expected: int, asker: Asker) -> None:
        self.asker = asker

    def end(self, cause: Exception | None = None) -> None:
        pass

    def take(self) -> Line | None:
        at_hand, self._at_hand = self._at_hand, False
        return cast("Line", self) if at_hand else None

    def give_back(self, line: Line) -> None:
        self._at_hand = True

    def lost(self, line: Line) -> None:
        pass

    def look_through(self, answers: Sequence[object]) -> None:
        pass


class Slow:
    """A pipeline whose commands reach the server when the test says so."""

    def __init__(self) -> None:
        self.may = asyncio.Event()
        self.reached: list[Word] = []

    async def __call__(self, commands: Sequence[tuple[Word, ...]]) -> list[object]:
        await self.may.wait()
        self.reached += [words[0] for words in commands]
        return [1] * len(commands)


def acquiring() -> Command:
    return ACQUIRE.on(("lock:{x}", "session:{x}"), "token", 1, "holder")


async def test_f13_what_nobody_waits_for_is_not_repeated() -> None:
    lines, slow = OneLine(), Slow()
    batcher = Batcher(slow, refused, Limits(deadline=60.0), lines)
    given_up, waited_for = batcher.submit(acquiring()), batcher.submit(acquiring())
    await asyncio.sleep(0)
    given_up.cancel()
    assert lines.asker is not None
    lines.asker.answered([NoScriptError("none")] * 2, False)
    slow.may.set()
    assert await waited_for == 1
    assert slow.reached == ["EVAL"]
    await batcher.aclose()


async def test_f13_a_pipeline_has_not_landed_before_what_it_left_undone_was_repeated() -> None:
    lines, slow = OneLine(), Slow()
    batcher = Batcher(slow, refused, Limits(deadline=60.0), lines)
    asked = batcher.submit(acquiring())
    await asyncio.sleep(0)
    landing = asyncio.create_task(batcher.landed())
    await asyncio.sleep(0)
    assert lines.asker is not None
    lines.asker.answered([NoScriptError("none")], False)
    for _ in range(9):
        await asyncio.sleep(0)
    assert not landing.done()
    slow.may.set()
    await landing
    assert (slow.reached, await asked) == (["EVAL"], 1)
    await batcher.aclose()


async def test_f3_who_asks_as_all_is_closed_is_refused_too() -> None:
    lines = OneLine()
    lines.take()
    batcher = Batcher(silent, refused, Limits(deadline=60.0), lines)
    by_task = batcher.submit(("PING",))
    await asyncio.sleep(0)
    lines.give_back(cast("Line", lines))
    last = batcher.submit(("PING",))
    await batcher.aclose()
    assert lines.asker is None
    assert [type(answer.exception()) for answer in (by_task, last)] == [CallFailed] * 2


async def test_f3_who_asks_with_words_that_cannot_be_sent_hears_so() -> None:
    batcher = Batcher(silent, refused, Limits(deadline=60.0), OneLine())
    async with asyncio.timeout(10):
        with pytest.raises(CallFailed):
            await batcher.submit(("GET", "\ud800"))
    assert not batcher._flights
    await batcher.aclose()


async def test_what_a_connection_would_not_take_is_told_to_who_asked_and_to_nobody_else() -> None:
    def write(octets: bytes) -> None:
        raise RuntimeError("closed")

    line = object.__new__(Line)
    line._asker = None
    line._transport = cast("asyncio.Transport", SimpleNamespace(write=write, abort=lambda: None))
    told: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: told.append(context))
    with pytest.raises(RuntimeError):
        line.ask(b"", 1)
    line.end()
    gc.collect()
    assert told == []


async def test_f3_where_a_later_part_is_not_taken_nothing_is_left_of_the_earlier_ones(redis_url: str) -> None:
    limits = Limits(deadline=20.0, connections=1, batch=1, queue=2)
    server = OneServer(Redis.from_url(redis_url), limits)
    with pytest.raises(CallFailed) as failed:
        await server.together([("GET", "a key")] * 3)
    assert failed.value.kind == "overload"
    batcher = server.keeping("ping")
    assert (len(batcher._queue), batcher._busy, batcher._flights) == (0, set(), set())
    await server.aclose()
