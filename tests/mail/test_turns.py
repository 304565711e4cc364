"""Fair turns by class: order, bounds, shares, and callers that give up. G15, G16."""

import asyncio
from collections import Counter
from collections.abc import Hashable
from contextvars import ContextVar, copy_context
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.mail.turns import Bounds, Turns
from service.model.refusal import Reason, Refusal


@dataclass
class Heard:
    waits: list[str] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)

    def waited(self, resource: str, seconds: float) -> None:
        assert seconds >= 0
        self.waits.append(resource)

    def turned_away(self, resource: str) -> None:
        self.refusals.append(resource)


TRACE: ContextVar[str] = ContextVar("trace")


@dataclass
class Traced(Heard):
    """In whose context each wait was told."""

    def waited(self, resource: str, seconds: float) -> None:
        self.waits.append(TRACE.get())


class Line:
    """Callers in line, and the order in which they got their turns."""

    def __init__(self, turns: Turns) -> None:
        self.turns = turns
        self.order: list[Hashable] = []
        self.tasks: list[asyncio.Task[None]] = []

    async def ask(self, whose: Hashable, amount: int = 1, cost: float = 1.0) -> asyncio.Task[None]:
        async def caller() -> None:
            await self.turns.take(whose, amount, cost=cost)
            self.order.append(whose)

        self.tasks.append(asyncio.create_task(caller()))
        await asyncio.sleep(0)
        return self.tasks[-1]

    async def serve(self, whose: Hashable, amount: int = 1) -> None:
        """End a turn, and let the next one begin."""
        self.turns.give_back(whose, amount)
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    async def serve_all(self) -> None:
        """End one turn after another until nobody waits."""
        while self.turns.waiting:
            await self.serve(self.order[len(self.order) - self.turns.used])

    def served_before(self, whose: Hashable) -> int:
        return self.order.index(whose)


def one_slot(**bounds: float) -> Line:
    return Line(Turns("test", Bounds(1, **bounds)))


async def test_whoever_finds_room_does_not_wait() -> None:
    turns = Turns("test", Bounds(2))
    await turns.take("a")
    assert turns.try_take("b")
    assert not turns.try_take("c")
    turns.give_back("a")
    assert turns.try_take("c")
    assert (turns.used, turns.waiting) == (2, 0)


async def test_a_wait_is_told_in_the_context_of_who_waited() -> None:
    told = Traced()
    turns = Turns("test", Bounds(1), told)
    await turns.take("a")
    TRACE.set("waits")
    waiting = asyncio.create_task(turns.take("b"))
    calling = copy_context()
    calling.run(TRACE.set, "is called")
    calling.run(turns.call, "c", lambda: None)
    await asyncio.sleep(0)
    TRACE.set("gives back")
    for whose in ("a", "c"):
        turns.give_back(whose)
    await waiting
    assert told.waits == ["is called", "waits"]


async def test_one_class_is_served_in_the_order_it_came() -> None:
    line = one_slot()
    served: list[int] = []

    async def caller(number: int) -> None:
        async with line.turns.turn("a"):
            served.append(number)
            await asyncio.sleep(0)

    await asyncio.gather(*(caller(number) for number in range(20)))
    assert served == list(range(20))
    assert (line.turns.used, line.turns.waiting) == (0, 0)


async def test_g16_one_caller_waits_for_one_turn_of_a_hundred_that_another_queued() -> None:
    line = one_slot()
    for _ in range(100):
        await line.ask("heavy")
    await line.ask("light")
    await line.serve_all()
    assert line.served_before("light") <= 2


async def test_g16_two_that_always_wait_get_the_same_number_of_turns() -> None:
    line = one_slot()
    for _ in range(100):
        await line.ask("heavy")
    for _ in range(10):
        await line.ask("light")
    await line.serve_all()
    assert Counter(line.order[:20])["light"] >= 9


async def test_g16_what_costs_more_is_paid_with_later_turns() -> None:
    line = one_slot()
    for _ in range(10):
        await line.ask("heavy", cost=10.0)
    for _ in range(20):
        await line.ask("light")
    await line.serve_all()
    assert Counter(line.order[:22])["heavy"] <= 3


async def test_a_debt_is_paid_when_the_queue_was_empty_in_between() -> None:
    """Who asks for one thing at a time, each of them dear, is no newcomer each time."""
    line = one_slot()
    await line.ask("heavy", cost=100.0)
    await line.ask("light")
    await line.serve("heavy")
    await line.ask("heavy", cost=100.0)
    for _ in range(50):
        await line.ask("light")
    await line.serve_all()
    assert line.order[-1] == "heavy"


async def test_g16_what_a_turn_turned_out_to_cost_is_paid_by_a_class_that_always_waits() -> None:
    line = one_slot()
    for _ in range(10):
        await line.ask("heavy", cost=0.1)
    for _ in range(20):
        await line.ask("light", cost=0.1)
    while line.turns.waiting:
        served = line.order[-1]
        line.turns.give_back(served, cost=0.9 if served == "heavy" else 0.0)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    assert Counter(line.order[:15])["heavy"] <= 3


async def test_nobody_saves_turns_up_while_asking_for_none() -> None:
    line = one_slot()
    for _ in range(50):
        await line.turns.take("busy")
        line.turns.give_back("busy")
    for whose in ("busy", "idle", "busy", "idle", "busy", "idle", "busy", "idle"):
        await line.ask(whose)
    await line.serve_all()
    assert Counter(line.order[:4])["busy"] >= 1


async def test_g16_a_class_fills_no_more_than_its_share_of_the_queue_and_another_finds_room() -> None:
    heard = Heard()
    line = Line(Turns("test", Bounds(1, queue=10, most=0.8), heard))
    for _ in range(20):
        await line.ask("heavy")
    assert 7 <= line.turns.waiting <= 8
    refused = [task.exception() for task in line.tasks if task.done() and task.exception()]
    assert all(isinstance(error, Refusal) and error.reason is Reason.OVERLOADED for error in refused)
    assert len(refused) == len(heard.refusals) >= 11
    light = await line.ask("light")
    await line.serve_all()
    assert light.exception() is None
    assert line.served_before("light") <= 2


async def test_a_full_queue_refuses_everybody() -> None:
    line = one_slot(queue=2)
    for whose in ("a", "b", "c"):
        await line.ask(whose)
    late = await line.ask("d")
    assert isinstance(late.exception(), Refusal)
    await line.serve_all()
    assert line.order == ["a", "b", "c"]


async def test_g16_a_class_holds_no_more_than_its_share_and_the_rest_stays_free_for_others() -> None:
    line = Line(Turns("test", Bounds(10, most=0.8)))
    for _ in range(20):
        await line.ask("heavy")
    assert line.turns.used == 8
    await line.ask("light")
    assert line.order[-1] == "light"
    assert line.turns.waiting == 12


async def test_one_that_waits_for_its_share_keeps_nobody_else_waiting() -> None:
    line = Line(Turns("test", Bounds(10, most=0.8)))
    for _ in range(9):
        await line.ask("heavy")
    assert line.turns.waiting == 1
    await line.ask("light")
    await line.ask("other")
    assert (line.turns.used, line.turns.waiting) == (10, 1)
    for whose in ("light", "other", "heavy"):
        await line.serve(whose)
    assert line.order[-1] == "heavy"


async def test_a_class_alone_gets_everything_without_a_bound_on_shares() -> None:
    line = Line(Turns("test", Bounds(10)))
    for _ in range(12):
        await line.ask("only")
    assert (line.turns.used, line.turns.waiting) == (10, 2)


async def test_g15_more_than_there_is_is_granted_once_nothing_else_is_held() -> None:
    line = Line(Turns("test", Bounds(10, most=0.8)))
    await line.ask("a")
    huge = await line.ask("b", 25)
    small = await line.ask("c")
    assert not huge.done()
    assert not small.done(), "what comes later overtook it"
    await line.serve("a")
    assert huge.done()
    await line.serve("b", 25)
    assert small.done()


async def test_a_caller_that_gives_up_leaves_its_place_to_the_next() -> None:
    line = one_slot()
    await line.ask("a")
    gone = await line.ask("b")
    await line.ask("b")
    gone.cancel()
    await asyncio.gather(gone, return_exceptions=True)
    await line.serve_all()
    assert line.order == ["a", "b"]
    line.turns.give_back("b")
    assert (line.turns.used, line.turns.waiting) == (0, 0)


async def test_a_turn_that_comes_in_the_moment_of_giving_up_goes_to_the_next() -> None:
    line = one_slot()
    await line.ask("a")
    gone = await line.ask("b")
    await line.ask("c")
    line.turns.give_back("a")
    gone.cancel()
    await asyncio.gather(gone, return_exceptions=True)
    await asyncio.sleep(0)
    assert line.order == ["a", "c"]
    assert (line.turns.used, line.turns.waiting) == (1, 0)


async def test_patience_ends_in_a_refusal_and_holds_nothing() -> None:
    heard = Heard()
    turns = Turns("test", Bounds(1, patience=0.01), heard)
    await turns.take("a")
    with pytest.raises(Refusal) as refused:
        await turns.take("b")
    assert refused.value.reason is Reason.OVERLOADED
    assert heard.refusals == ["test"]
    turns.give_back("a")
    assert (turns.used, turns.waiting) == (0, 0)


async def test_taking_what_is_free_leaves_room_for_those_who_would_wait() -> None:
    turns = Turns("test", Bounds(4))
    assert turns.try_take("a", leaving=2)
    assert turns.try_take("a", leaving=2)
    assert not turns.try_take("a", leaving=2)
    assert turns.try_take("a")


async def test_who_waited_is_told_by_class_until_it_was_asked() -> None:
    heard = Heard()
    line = Line(Turns("test", Bounds(1), heard))
    for whose in ("a", "a", "b", "a"):
        await line.ask(whose)
    assert line.turns.waits() == {"a": 2, "b": 1}
    assert line.turns.waits() == {}
    await line.serve_all()
    assert heard.waits == ["test"] * 3


async def test_g15_classes_without_number_leave_nothing_behind() -> None:
    turns = Turns("test", Bounds(2))
    for number in range(10_000):
        await turns.take(number)
        turns.give_back(number)
    assert len(turns._classes) <= 128


Act = tuple[str, int]


@given(
    st.integers(1, 6),
    st.sampled_from([1.0, 0.8, 0.5]),
    st.lists(st.tuples(st.sampled_from(["take", "give", "leave"]), st.integers(0, 5)), max_size=60),
)
def test_no_turn_is_lost_or_given_twice_whatever_comes(bound: int, most: float, acts: list[Act]) -> None:
    asyncio.run(_play(Turns("test", Bounds(bound, most=most)), acts))


async def _play(turns: Turns, acts: list[Act]) -> None:
    """Callers come, end their turns and give up in any order; then all end, and everything is free again."""
    held: list[str] = []
    waiting: list[asyncio.Task[None]] = []

    async def caller(whose: str) -> None:
        await turns.take(whose)
        held.append(whose)

    for what, which in acts:
        if what == "take":
            waiting.append(asyncio.create_task(caller("abcdef"[which])))
        elif what == "give" and held:
            turns.give_back(held.pop(which % len(held)))
        elif what == "leave" and waiting:
            waiting.pop(which % len(waiting)).cancel()
        if which % 2:
            await asyncio.sleep(0)
        assert turns.used <= turns.bounds.amount
    for _ in range(len(acts) + 2):
        await asyncio.sleep(0)
        while held:
            turns.give_back(held.pop())
    await asyncio.gather(*waiting, return_exceptions=True)
    assert (turns.used, turns.waiting, held) == (0, 0, [])
