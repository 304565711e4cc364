"""Calls put together: a single one waits for nobody, those that come meanwhile share one statement. G1, G14, G18."""

import asyncio
from collections.abc import Sequence
from contextvars import ContextVar

import asyncpg
import pytest

from service.model.refusal import Reason, Refusal
from service.stores.postgres.together import LONG, Together
from tests.simulation.loop import SimulationLoop

CALLER = ContextVar("CALLER", default="")
Asked = list[list[int]]


async def asking(together: Together[int, int], question: int, apart: int, whose: str | None = None) -> int:
    return await together.ask(question, apart, whose)


class Held:
    """Answers with the tenfold once it may; notes what it was asked together."""

    def __init__(self, *, most: int = 64, ways: int = 1) -> None:
        self.asked: Asked = []
        self.may = asyncio.Event()
        self.errors: list[Exception] = []
        self.poison: int | None = None
        self.together = Together[int, int](self._ask, most=most, ways=ways)

    async def _ask(self, questions: Sequence[int]) -> Sequence[int | Refusal]:
        self.asked.append(list(questions))
        await self.may.wait()
        if self.errors:
            raise Refusal(Reason.UNAVAILABLE, "down") from self.errors.pop()
        if self.poison in questions:
            raise Refusal(Reason.UNAVAILABLE, "no such value") from asyncpg.ProgramLimitExceededError("too long")
        return [Refusal(Reason.NO_RECIPIENT) if question < 0 else 10 * question for question in questions]

    def begin(self, *questions: int) -> list["asyncio.Task[int]"]:
        return [asyncio.create_task(asking(self.together, question, question)) for question in questions]


async def settled() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def outcomes(tasks: Sequence["asyncio.Task[int]"]) -> list[int | Reason]:
    found = await asyncio.gather(*tasks, return_exceptions=True)
    return [each.reason if isinstance(each, Refusal) else each for each in found if isinstance(each, int | Refusal)]


async def test_a_single_call_goes_at_once_and_those_that_come_meanwhile_go_together() -> None:
    held = Held()
    first = held.begin(1)
    await settled()
    rest = held.begin(2, 3, 4)
    await settled()
    assert held.asked == [[1]]
    held.may.set()
    assert await outcomes(first + rest) == [10, 20, 30, 40]
    assert held.asked == [[1], [2, 3, 4]]


async def test_those_of_one_turn_of_the_loop_go_together_from_the_start() -> None:
    held = Held()
    held.may.set()
    assert await outcomes(held.begin(1, 2, 3)) == [10, 20, 30]
    assert held.asked == [[1, 2, 3]]


async def test_there_are_no_more_statements_at_a_time_than_ways_nor_more_calls_in_one_than_may_be() -> None:
    held = Held(most=2, ways=2)
    tasks = held.begin(*range(7))
    await settled()
    assert held.asked == [[0, 1], [2, 3]]
    held.may.set()
    assert await outcomes(tasks) == [0, 10, 20, 30, 40, 50, 60]
    assert held.asked[2:] == [[4, 5], [6]]


async def test_g16_where_not_all_find_room_each_class_has_as_much_of_it() -> None:
    held = Held(most=4)
    tasks = held.begin(0)
    await settled()
    tasks += [asyncio.create_task(asking(held.together, n, n, "heavy")) for n in range(1, 8)]
    tasks += [asyncio.create_task(asking(held.together, n, n, "light")) for n in (8, 9)]
    await settled()
    held.may.set()
    assert await outcomes(tasks) == [10 * n for n in range(10)]
    assert held.asked == [[0], [1, 8, 2, 9], [3, 4, 5, 6], [7]]


async def test_a_statement_that_takes_long_stands_in_nobodys_way() -> None:
    held = Held(most=2)
    first = held.begin(1)
    await settled()
    tasks = held.begin(2)
    async with asyncio.timeout(20):
        while len(held.asked) < 2:  # noqa: ASYNC110 - the event is a time that passes
            await asyncio.sleep(0.005)
    assert held.asked == [[1], [2]]
    held.may.set()
    assert await outcomes(first + tasks) == [10, 20]
    # There is one way as before.
    held.may.clear()
    tasks = held.begin(3, 4, 5)
    await settled()
    assert held.asked[2:] == [[3, 4]]
    held.may.set()
    assert await outcomes(tasks) == [30, 40, 50]


def test_nobody_waits_longer_for_a_statement_that_is_late_than_a_twentieth_of_a_second() -> None:
    loop, asked = SimulationLoop(1), dict[int, float]()

    async def ask(questions: Sequence[int]) -> Sequence[int | Refusal]:
        asked.update(dict.fromkeys(questions, loop.time()))
        await asyncio.sleep(60.0)
        return list(questions)

    async def all_of_them() -> list[int]:
        together = Together[int, int](ask, ways=1)
        return list(await asyncio.gather(*(together.ask(number, 0) for number in range(4))))

    assert loop.run_until_complete(all_of_them()) == [0, 1, 2, 3]
    assert asked == pytest.approx({number: number * LONG for number in range(4)})
    assert pytest.approx(0.05) == LONG
    loop.finish()


async def test_it_stands_for_the_class_that_most_of_them_are() -> None:
    began = list[str]()

    async def ask(questions: Sequence[int]) -> Sequence[int | Refusal]:
        began.append(CALLER.get())
        return list(questions)

    together = Together[int, int](ask)

    async def one(number: int, whose: str) -> int:
        CALLER.set(f"{whose} {number}")
        return await together.ask(number, number, whose)

    callers = ["light", "heavy", "other", "heavy", "light", "heavy"]
    await asyncio.gather(*(one(number, whose) for number, whose in enumerate(callers)))
    assert began == ["heavy 1"]


async def test_those_that_must_stand_apart_do_and_keep_their_order() -> None:
    held = Held()
    held.may.set()
    tasks = [asyncio.create_task(asking(held.together, n, n % 2)) for n in range(5)]
    assert await outcomes(tasks) == [0, 10, 20, 30, 40]
    assert held.asked == [[0, 1], [2, 3], [4]]


async def test_an_answer_may_be_a_refusal_for_one_alone() -> None:
    held = Held()
    held.may.set()
    assert await outcomes(held.begin(1, -2, 3)) == [10, Reason.NO_RECIPIENT, 30]


async def test_g14_an_outage_is_told_to_all_and_asked_for_once() -> None:
    held = Held()
    held.errors.append(ConnectionResetError())
    held.may.set()
    assert await outcomes(held.begin(1, 2, 3)) == [Reason.UNAVAILABLE] * 3
    assert await outcomes(held.begin(4)) == [40]
    assert held.asked == [[1, 2, 3], [4]]


async def test_g14_in_an_outage_nobody_waits_for_more_than_two_statements() -> None:
    held = Held(most=1)
    held.errors += [ConnectionResetError(), ConnectionResetError()]
    first = held.begin(1)
    await settled()
    meanwhile = held.begin(2, 3, 4)
    await settled()
    held.may.set()
    assert await outcomes(first + meanwhile) == [Reason.UNAVAILABLE] * 4
    assert held.asked == [[1], [2]]


async def test_one_that_is_cancelled_before_its_statement_is_not_asked_for() -> None:
    held = Held()
    tasks = held.begin(1)
    await settled()
    tasks += held.begin(2, 3)
    await settled()
    tasks[1].cancel()
    await settled()
    held.may.set()
    assert await outcomes([tasks[0], tasks[2]]) == [10, 30]
    assert held.asked == [[1], [3]]


async def test_what_only_one_of_them_brings_hurts_no_other() -> None:
    held = Held()
    held.poison = 2
    held.may.set()
    assert await outcomes(held.begin(1, 2, 3)) == [10, Reason.UNAVAILABLE, 30]
    assert held.asked == [[1, 2, 3], [1], [2], [3]]


async def test_one_that_is_cancelled_is_asked_for_all_the_same_and_hurts_no_other() -> None:
    held = Held()
    tasks = held.begin(1, 2)
    await settled()
    tasks[0].cancel()
    held.may.set()
    assert await tasks[1] == 20
    assert (held.asked, tasks[0].cancelled()) == ([[1, 2]], True)


class Defective:
    """Fails at some questions with what is no Refusal; answers the others."""

    def __init__(self, *at: int, few: bool = False) -> None:
        self.at = at
        self.few = few
        self.told: list[object] = []
        asyncio.get_running_loop().set_exception_handler(lambda _loop, context: self.told.append(context["exception"]))
        self.together = Together[int, int](self._ask)

    async def _ask(self, questions: Sequence[int]) -> Sequence[int | Refusal]:
        if len(questions) > 1 and not self.few:
            raise Refusal(Reason.UNAVAILABLE, "no such value") from asyncpg.ProgramLimitExceededError("too long")
        if set(self.at).intersection(questions):
            raise ZeroDivisionError(f"told of {questions}")
        return [0] if self.few else [10 * question for question in questions]

    def begin(self, *questions: int) -> list["asyncio.Task[int]"]:
        return [asyncio.create_task(asking(self.together, question, question)) for question in questions]


async def test_g14_a_defect_is_a_temporary_refusal_for_each_and_told_once_and_the_next_is_asked_for() -> None:
    held = Defective(2, few=True)
    tasks = held.begin(1, 2, 3)
    assert await outcomes(tasks) == [Reason.UNAVAILABLE] * 3
    assert [type(each) for each in held.told] == [ZeroDivisionError]
    refusals = [task.exception() for task in tasks]
    assert len(set(map(id, refusals))) == 3, "each has its own, with its own traceback"
    assert not any("told of" in str(refusal) for refusal in refusals)
    assert await outcomes(held.begin(4)) == [0]


async def test_g14_too_few_answers_are_nobody_s() -> None:
    held = Defective(few=True)
    assert await outcomes(held.begin(1, 2, 3)) == [Reason.UNAVAILABLE] * 3
    assert [type(each) for each in held.told] == [ValueError]


async def test_g14_a_defect_at_one_that_is_asked_for_by_itself_hurts_no_other() -> None:
    held = Defective(2)
    assert await outcomes(held.begin(1, 2, 3)) == [10, Reason.UNAVAILABLE, 30]
    assert [type(each) for each in held.told] == [ZeroDivisionError]
