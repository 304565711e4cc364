"""The event loop's time in fair turns, step by step. G16.

RFC 1939 §3: a session that is given up removes nothing, so its work must hear of its end whatever it waits for.
"""

import asyncio
import gc
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator, Mapping
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass
from itertools import count, pairwise, repeat
from random import Random
from typing import Any
from weakref import ref

import pytest

from service.mail.pace import ALONE, Pace, Whose
from service.mail.rounds import SHORT, Class
from service.mail.steps import in_turns
from tests.net.crowded import Crowded, in_company

STEPS = 4
HEAVY = 100
both_loops = pytest.mark.asyncio(loop_factories=["asyncio", "uvloop"])
Run = Callable[[Coroutine[Any, Any, Any], Whose], Awaitable[Any]]
place: ContextVar[str] = ContextVar("place", default="outside")


@pytest.fixture
async def pace() -> AsyncIterator[Pace]:
    """A pace at which nobody waits in the end, in whose round two tenants had steps."""
    pace = in_company(Pace(STEPS))
    yield pace
    await asyncio.sleep(0.01)
    assert (pace.waiting, pace._heads, pace.took) == (0, [], {})


@dataclass
class Whoever:
    """On whose behalf work is done."""

    whose: Whose
    goes_on: bool = False


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 - there is no event to wait for
            await asyncio.sleep(0)


def in_turn(pace: Pace) -> Run:
    return lambda work, whose: in_turns(pace, work, Whoever(whose))


async def in_any_order(work: Coroutine[Any, Any, Any], _: Whose) -> Any:
    return await work


@both_loops
async def test_what_work_returns_or_raises_comes_out(pace: Pace) -> None:
    async def well() -> str:
        await asyncio.sleep(0)
        place.set("inside")
        async with asyncio.timeout(10):
            await asyncio.sleep(0.001)
        return place.get()

    async def badly() -> None:
        await asyncio.sleep(0)
        raise KeyError("x")

    run = in_turn(pace)
    assert await run(well(), "a") == "inside"
    assert place.get() == "inside", "it runs in the context of the task that awaits it"
    with pytest.raises(KeyError):
        await run(badly(), "a")


@both_loops
async def test_a_timeout_in_the_middle_of_work_is_the_works_own(pace: Pace) -> None:
    async def late() -> str:
        try:
            async with asyncio.timeout(0.001):
                await asyncio.Event().wait()
        except TimeoutError:
            return "late"
        return "never"

    assert await in_turn(pace)(late(), "a") == "late"


async def cancelled_when(pace: Crowded, *, waits_for_turn: bool) -> list[str]:
    said: list[str] = []
    event = asyncio.Event()

    async def work() -> None:
        said.append("begun")
        try:
            await event.wait()
            said.append("went on")
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            said.append("cleaned up")

    async def task_of() -> None:
        await in_turn(pace)(work(), "a")

    task = asyncio.create_task(task_of())
    await until(lambda: said)
    if waits_for_turn:
        pace.full = True
        event.set()
        await until(lambda: pace.waiting)
    task.cancel()
    if waits_for_turn:
        await asyncio.sleep(0)
        pace.leave()
    with suppress(asyncio.CancelledError):
        await task
    assert task.cancelled()
    return said


@both_loops
@pytest.mark.parametrize("waits_for_turn", [False, True])
async def test_work_that_is_cancelled_cleans_up_whatever_it_waits_for(waits_for_turn: bool) -> None:
    assert await cancelled_when(Crowded(full=False), waits_for_turn=waits_for_turn) == ["begun", "cleaned up"]


@both_loops
async def test_work_that_was_told_of_its_end_and_is_cancelled_before_its_turn_hears_of_it_once() -> None:
    pace, said = Crowded(full=False), list[str]()
    told: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def work() -> None:
        try:
            await told
        except asyncio.CancelledError:
            await asyncio.sleep(0)
            said.append("cleaned up")
            raise

    task = asyncio.create_task(_in_turn(pace, work()))
    await asyncio.sleep(0)
    pace.full = True
    told.set_exception(ConnectionResetError("the connection is gone"))
    await until(lambda: pace.waiting)
    task.cancel()
    await asyncio.sleep(0)
    pace.leave()
    await asyncio.wait({task})
    assert task.cancelled()
    assert said == ["cleaned up"]


async def test_work_that_is_dropped_is_closed(pace: Pace) -> None:
    closed = []

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            closed.append(True)

    async def in_steps() -> None:
        await in_turns(pace, work(), Whoever("a"))

    steps = in_steps()
    steps.send(None)
    steps.close()
    assert closed == [True]


async def passed_by(run: Run) -> int:
    """The most steps of the heavy tenant between two steps of the light one, of which each has one after the other."""
    order: list[str] = []
    ended = False

    async def heavy() -> None:
        while not ended:
            order.append("heavy")
            await asyncio.sleep(0)

    async def light() -> None:
        for _ in range(20):
            order.append("light")
            await asyncio.sleep(0)

    async def task_of(work: Coroutine[Any, Any, None], whose: str) -> None:
        await run(work, whose)

    crowd = [asyncio.create_task(task_of(heavy(), "heavy")) for _ in range(HEAVY)]
    await until(lambda: order.count("heavy") >= HEAVY)
    await task_of(light(), "light")
    ended = True
    await asyncio.gather(*crowd)
    at = [place for place, whose in enumerate(order) if whose == "light"]
    return max(after - before - 1 for before, after in pairwise(at))


@both_loops
async def test_g16_a_session_goes_on_in_each_round_however_many_of_another_tenant_are_ready(pace: Pace) -> None:
    fair, unfair = await passed_by(in_turn(pace)), await passed_by(in_any_order)
    print(f"\nsteps of {HEAVY} heavy sessions between two of a light one: {fair} in turn, {unfair} without")  # noqa: T201
    assert fair <= 2 * STEPS
    assert unfair >= HEAVY - 1


@both_loops
async def test_g16_what_goes_on_by_itself_waits_a_round_for_each_few_of_its_hops(pace: Pace) -> None:
    """An answer of another system takes some hops of the loop until it is a session's next step."""
    made, hops = 0, 40

    async def heavy() -> None:
        nonlocal made
        while made >= 0:
            made += 1
            await asyncio.sleep(0)

    async def task_of() -> None:
        await in_turn(pace)(heavy(), "heavy")

    crowd = [asyncio.create_task(task_of()) for _ in range(HEAVY)]
    await until(lambda: made >= HEAVY)
    before = made
    for _ in range(hops):
        await asyncio.sleep(0)
    rounds = (made - before) / (STEPS / 2)
    made = -HEAVY
    await asyncio.gather(*crowd)
    assert 5 <= rounds <= 12


async def calls_before(pace: Pace, whose: Whose, waiting: int) -> int:
    """How many of the heavy tenant's calls, all lined up before, are made before one of `whose`."""
    made: list[Whose] = []
    for _ in range(waiting):
        pace.soon("heavy", lambda: made.append("heavy"))
    pace.soon(whose, lambda: made.append("asked"))
    await until(lambda: len(made) == waiting + 1)
    return made.index("asked")


@both_loops
async def test_g16_commands_that_wait_for_nothing_run_in_turn_too(pace: Pace) -> None:
    assert await calls_before(pace, "heavy", waiting=0) == 0
    assert await calls_before(pace, "light", waiting=HEAVY) < STEPS
    assert await calls_before(pace, "heavy", waiting=HEAVY) == HEAVY


async def test_a_call_that_fails_keeps_nobody_from_the_next(pace: Pace) -> None:
    made: list[str] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, _context: made.append("told"))

    def badly() -> None:
        raise KeyError("x")

    with pytest.raises(KeyError):
        pace.soon("a", badly)
    pace.ended("a", 1.0)
    pace.soon("a", badly)
    pace.soon("a", lambda: made.append("a"))
    await until(lambda: len(made) == 2)
    assert sorted(made) == ["a", "told"]


async def test_g16_a_long_step_uses_up_the_round() -> None:
    pace = in_company(Pace(STEPS, savings=1.0))
    pace.ended("heavy", 60.0)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    pace.ended("heavy", 60.0)
    assert not pace.may_begin("heavy")
    assert pace.may_begin("light"), "it has savings"
    pace.ended("light", 0.0)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert pace.may_begin("heavy")
    assert pace._classes["heavy"].finish >= 60.0


async def steps_of_a_round(pace: Pace, whose: Whose) -> int:
    """How many short steps of one class a round takes, after a look at the sockets."""
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    steps = 0
    while pace.may_begin(whose):
        pace.ended(whose, 0.0)
        steps += 1
    return steps


@both_loops
async def test_g16_long_steps_of_a_tenant_alone_fill_no_more_than_a_long_round(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Counted in steps between two looks at the sockets, so that a busy machine changes nothing."""
    usual, between, most = 10 * SHORT, 0, 0

    async def heavy() -> None:
        nonlocal between
        for _ in range(20):
            between += 1
            await asyncio.sleep(0)

    # The clock is read twice a step: each takes ten short ones.
    looks = count()
    monkeypatch.setattr(time, "perf_counter", lambda: next(looks) * usual)
    pace = Pace(STEPS)

    async def in_steps() -> None:
        await in_turns(pace, heavy(), Whoever(1))

    crowd = [asyncio.create_task(in_steps()) for _ in range(HEAVY)]
    await until(lambda: pace.waiting > HEAVY / 2)
    await until(lambda: pace._classes[1].usual > 9 * SHORT)
    while not all(task.done() for task in crowd):
        between = 0
        await asyncio.sleep(0)
        most = max(most, between)
    assert most <= 2 * (STEPS * ALONE * SHORT / usual + 1)


async def test_g16_rounds_are_short_while_two_tenants_have_steps() -> None:
    """A tenant's id is no text; the network of a stranger, which each session begins as, is."""
    pace = Pace(STEPS)
    pace.ended("198.51.100.0/24", 0.0)
    assert await steps_of_a_round(pace, 1) == STEPS * ALONE / 2, "alone"
    pace.ended("192.0.2.0/24", 0.0)
    assert await steps_of_a_round(pace, 1) == STEPS * ALONE / 2, "strangers come and go"
    await asyncio.sleep(0)
    pace.ended(2, 0.0)
    assert await steps_of_a_round(pace, 1) == STEPS / 2, "one tenant leaves half of a round to others"
    assert pace.may_begin(2)
    pace._company_until = 0.0
    assert await steps_of_a_round(pace, 1) == STEPS * ALONE / 2, "the other one went away"


@pytest.mark.parametrize("seed", range(20))
async def test_g16_a_class_has_no_more_of_a_round_than_it_leaves_to_others(seed: int) -> None:
    """Of any mixture of short and long steps, and of a round that becomes short in the middle."""
    chance, pace, had = Random(seed), Pace(STEPS), dict.fromkeys((1, 2, "stranger"), 0.0)
    took = had.copy()
    pace._next_round()
    for _ in range(80):
        whose = chance.choice([1, "stranger"] if seed % 2 else list(had))
        short = pace._company_until > 0.0
        left = STEPS * SHORT * (1 if short else ALONE) - sum(had.values())
        assert pace.may_begin(whose) == (had[whose] < left)
        assert (pace.spent < pace.unasked) <= pace.may_begin(whose), "who need not ask would hear the same"
        if pace.may_begin(whose):
            seconds = chance.choice([0.0, SHORT / 2, 1.5 * SHORT])
            pace.ended(whose, seconds)
            had[whose] += max(seconds, SHORT)
            took[whose] += seconds
    assert sum(had.values()) >= STEPS * SHORT / 2
    await until(lambda: not pace.took)
    assert [pace._classes[whose].finish for whose in had if had[whose]] == pytest.approx(
        [seconds for whose, seconds in took.items() if had[whose]]
    )


async def test_g16_a_flood_of_strangers_passes_those_who_wait_for_no_longer_than_a_short_round() -> None:
    pace = in_company(Pace(STEPS, savings=1.0))
    pace.ended("heavy", 60.0)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    pace.ended("heavy", 60.0)
    strangers = 0
    while pace.may_begin(f"stranger {strangers}"):
        pace.ended(f"stranger {strangers}", SHORT)
        strangers += 1
    assert strangers == STEPS
    assert pace.may_begin(1), "a tenant with savings isn't kept out by them"
    pace.ended(1, 0.0)


class Octets:
    """What work holds."""


async def test_g15_what_broken_off_work_held_is_free_without_the_collector(pace: Pace) -> None:
    held: list[ref[Octets]] = []
    waits = asyncio.Event()
    told: list[asyncio.Future[None]] = [asyncio.get_running_loop().create_future()]

    async def send() -> None:
        octets = Octets()
        held.append(ref(octets))
        waits.set()
        await told[0]

    gc.disable()
    try:
        task = asyncio.create_task(_in_turn(pace, send()))
        await waits.wait()
        told.pop().set_exception(ConnectionResetError("the connection is gone"))
        await asyncio.wait({task})
        assert isinstance(task.exception(), ConnectionResetError)
        del task
        await asyncio.sleep(0)
        assert held[0]() is None
    finally:
        gc.enable()


async def _in_turn(pace: Pace, work: Coroutine[Any, Any, None]) -> None:
    await in_turns(pace, work, Whoever("tenant"))


async def test_g16_a_turn_is_paid_for_by_whom_its_step_turned_out_to_be(pace: Pace) -> None:
    """RFC 1939 §4: before a login, a session is its address's; the name tells whose it is."""
    caller = Whoever("address", goes_on=True)

    async def log_in() -> None:
        caller.whose = "tenant"
        time.sleep(0.002)  # noqa: ASYNC251 - a step that takes its time

    await in_turns(pace, log_in(), caller)
    await until(lambda: not pace.took)
    assert pace._classes["tenant"].finish >= 0.002
    assert "address" not in pace._classes


async def test_work_that_fails_or_is_cancelled_keeps_no_turn(pace: Pace) -> None:
    async def badly() -> None:
        await asyncio.sleep(0)
        raise KeyError("x")

    caller = Whoever("a", goes_on=True)
    with pytest.raises(KeyError):
        await in_turns(pace, badly(), caller)
    assert not caller.goes_on


@both_loops
async def test_work_that_ends_without_a_turn_leaves_none_to_be_ended() -> None:
    """A time that ran out is told while a step waits for its turn, which it therefore never has."""
    pace, limits = Crowded(), list[asyncio.Timeout]()

    async def work() -> str:
        try:
            async with asyncio.timeout(None) as limit:
                limits.append(limit)
                await asyncio.sleep(0)
                await asyncio.sleep(0)
        except TimeoutError:
            return "late"
        return "in time"

    async def stepping() -> str:
        return await in_turns(pace, work(), caller)

    caller = Whoever("a", goes_on=True)
    task = asyncio.ensure_future(stepping())
    await until(lambda: pace.waiting)
    limits[0].reschedule(asyncio.get_running_loop().time())
    assert await task == "late"
    assert not caller.goes_on
    pace.leave()


def rarely_long(chance: Random) -> Iterator[float]:
    while True:
        yield 0.004 if chance.random() < 0.05 else SHORT


async def shares(costs: Mapping[str, Iterator[float]], callers: int, steps: int) -> dict[str, float]:
    """What each tenant has of the time of so many steps, as far as it asks for all it can get."""
    pace, had, left = in_company(Pace(8, savings=0.05)), dict.fromkeys(costs, 0.0), [steps]

    async def ask(whose: str) -> None:
        while left[0] > 0:
            counted = 0.0 if pace.may_begin(whose) else await pace.begin(whose)
            cost = next(costs[whose])
            left[0] -= 1
            had[whose] += cost
            pace.ended(whose, cost, counted)
            await asyncio.sleep(0)

    await asyncio.gather(*(ask(whose) for whose in costs for _ in range(callers)))
    return {whose: seconds / sum(had.values()) for whose, seconds in had.items()}


@pytest.mark.parametrize("callers", [4, 16])
async def test_g16_a_tenant_whose_steps_are_rarely_long_has_little_more_than_its_share(callers: int) -> None:
    """A step is reckoned at what is usual until it is over: by its last one alone it would have three quarters."""
    costs = {"even": repeat(0.0001), "uneven": rarely_long(Random(1))}
    assert (await shares(costs, callers, 5000))["uneven"] < 0.65


async def test_g16_what_a_step_was_reckoned_at_is_owed_by_nobody(pace: Pace) -> None:
    """A step of 50 ms doesn't make the next short ones count as long: 50 ms of others' would pass them for each."""
    pace._classes["slow"] = Class("slow", 0.0, stays=True, usual=0.05)
    work = [asyncio.create_task(pace.begin("slow")) for _ in range(3)]
    pace.ended("another", SHORT)
    while work:
        await until(lambda: any(each.done() for each in work))
        for each in [each for each in work if each.done()]:
            pace.ended("slow", SHORT, await each)
            work.remove(each)
    await until(lambda: not pace.took)
    assert pace._classes["slow"].finish == pytest.approx(3 * SHORT)
