"""Calls that come while others are on their way, put together into one statement.

Owns who goes with whom: whoever comes when a way is free goes at once, whoever comes later waits for it with all the
others, so that the more there is to do, the less each costs, and a single caller waits for nobody. A statement that
takes long, for a lock or on a connection that is silent, stands in nobody's way. Those that must not stand in one
statement don't, and where not all find room, each class of callers has as much of it as others (G16).
In an outage nobody waits for more than two statements that fail, and what no refusal tells is a temporary one for each
(G14). Refuses to know statements; whoever is cancelled while one is on its way is asked for all the same.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Hashable, Sequence
from contextvars import Context, copy_context
from dataclasses import dataclass
from functools import partial
from typing import Generic, NamedTuple, TypeVar

from service.model.refusal import Reason, Refusal
from service.stores.postgres.errors import may_pass

MOST = 64
"""Calls in one statement."""
WAYS = 2
"""Statements at a time."""
WORTH = 8
"""Calls for which another statement goes beside one that is on its way: fewer had better wait and be more."""
LONG = 0.05
"""Seconds after which others no longer wait for a statement: far more than one takes that waits for nothing."""
Question = TypeVar("Question")
Answer = TypeVar("Answer")


class _Caller(NamedTuple, Generic[Question, Answer]):
    question: Question
    apart: Hashable
    """Nobody else with the same one goes along."""
    whose: Hashable
    answer: "asyncio.Future[Answer]"
    context: Context
    came: float


@dataclass(slots=True, eq=False)
class _Going(Generic[Question, Answer]):
    """A statement on its way; its `alarm` goes off once it is late."""

    callers: Sequence[_Caller[Question, Answer]]
    alarm: asyncio.TimerHandle | None = None


class Together(Generic[Question, Answer]):
    """Has `ask` asked for several at a time; it gives an answer for each, in order, or raises a Refusal."""

    def __init__(
        self,
        ask: Callable[[Sequence[Question]], Awaitable[Sequence[Answer | Refusal]]],
        *,
        most: int = MOST,
        ways: int = WAYS,
    ) -> None:
        self._ask = ask
        self._most = most
        self._ways = self._free = ways
        self._worth = min(WORTH, most)
        self._waiting: list[_Caller[Question, Answer]] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._looking = False
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def idle(self) -> bool:
        """Whether nobody waits, and no statement is on its way."""
        return not self._waiting and not self._tasks

    def ask(self, question: Question, apart: Hashable, whose: Hashable = None) -> "asyncio.Future[Answer]":
        """The answer to come, for a caller of class `whose`, or the Refusal that stands in its place."""
        loop = self._loop or self._running()
        answer: asyncio.Future[Answer] = loop.create_future()
        caller = _Caller(question, apart, whose, answer, copy_context(), loop.time())
        self._waiting.append(caller)
        if not self._looking and self._may_go():
            # Those that come in the same turn of the event loop go along.
            self._looking = True
            loop.call_soon(self._look)
        return answer

    def _running(self) -> asyncio.AbstractEventLoop:
        """The event loop, kept from now on: each time that asyncio is asked for it, it calls the kernel."""
        self._loop = asyncio.get_running_loop()
        return self._loop

    def _may_go(self) -> bool:
        return self._free == self._ways or (self._free > 0 and len(self._waiting) >= self._worth)

    def _look(self) -> None:
        self._looking = False
        self._waiting = [caller for caller in self._waiting if not caller.answer.done()]
        while self._waiting and self._may_go():
            self._free -= 1
            callers = self._next()
            loop = self._loop or self._running()
            # Whoever most of them are is whose trace it shows in, and whose turn of a connection it takes.
            task = loop.create_task(self._go(callers), context=_most_numerous(callers).context)
            self._tasks.add(task)
            going = _Going(callers)
            going.alarm = loop.call_later(LONG, self._late, going)
            task.add_done_callback(partial(self._gone, going))

    def _next(self) -> list[_Caller[Question, Answer]]:
        """Those that go now: nearly always all."""
        all_ = self._waiting
        if len(all_) <= self._most and len({caller.apart for caller in all_}) == len(all_):
            self._waiting = []
            return all_
        going: dict[Hashable, _Caller[Question, Answer]] = {}
        for caller in self._in_turn():
            if len(going) < self._most:
                going.setdefault(caller.apart, caller)
        self._waiting = [caller for caller in self._waiting if going.get(caller.apart) is not caller]
        return list(going.values())

    def _in_turn(self) -> Sequence[_Caller[Question, Answer]]:
        """Those that wait, in order; where there are too many, the first of each class, then the second of each."""
        if len(self._waiting) <= self._most:
            return self._waiting
        before = Counter[Hashable]()
        places = []
        for caller in self._waiting:
            places.append(before[caller.whose])
            before[caller.whose] += 1
        return [self._waiting[n] for n in sorted(range(len(places)), key=places.__getitem__)]

    def _late(self, going: "_Going[Question, Answer]") -> None:
        """It waits for something: others needn't."""
        going.alarm = None
        self._free += 1
        self._look()

    def _gone(self, going: "_Going[Question, Answer]", task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if going.alarm is not None:
            going.alarm.cancel()
            self._free += 1
        if task.cancelled():
            for caller in going.callers:
                caller.answer.cancel()
        elif (defect := task.exception()) is not None:
            task.get_loop().call_exception_handler({"message": "a statement of several failed", "exception": defect})
            for caller in going.callers:
                # Its text may hold what was asked.
                cause = f"postgres: {type(defect).__name__} in what was asked together"
                _tell(caller, Refusal(Reason.UNAVAILABLE, cause))
        self._look()

    async def _go(self, callers: Sequence[_Caller[Question, Answer]]) -> None:
        began = (self._loop or self._running()).time()
        try:
            answers: Sequence[Answer | Refusal] | None = await self._ask([caller.question for caller in callers])
        except Refusal as refusal:
            answers = self._refused(refusal, began, len(callers))
        if answers is None and len(callers) > 1:
            # It is the statement that failed, for what one of them brought: the others mustn't suffer from it.
            loop = asyncio.get_running_loop()
            tasks = [loop.create_task(self._go([caller]), context=caller.context) for caller in callers]
            alone = await asyncio.gather(*tasks, return_exceptions=True)
            for defect in filter(None, alone):
                raise defect
            return
        if answers is None:
            raise TypeError("no answers at all")
        # Where there are too few, nobody's is known.
        for caller, answer in list(zip(callers, answers, strict=True)):
            _tell(caller, answer)

    def _refused(self, refusal: Refusal, began: float, callers: int) -> Sequence[Refusal] | None:
        """What so many are told of it; None where each had better be asked by itself."""
        passing = may_pass(refusal.__cause__ or refusal)
        if callers > 1 and not passing:
            return None
        if passing:
            self._refuse_before(began, refusal)
        return [Refusal(refusal.reason, refusal.cause) for _ in range(callers)]

    def _refuse_before(self, began: float, refusal: Refusal) -> None:
        """Who came before this statement began has waited for one already: the next would fail as late."""
        for caller in self._waiting:
            if caller.came <= began:
                _tell(caller, Refusal(refusal.reason, refusal.cause))


def _most_numerous(callers: Sequence[_Caller[Question, Answer]]) -> _Caller[Question, Answer]:
    """The first of the class that most of them are."""
    classes = [caller.whose for caller in callers]
    if classes.count(classes[0]) == len(classes):
        return callers[0]
    number = Counter(classes)
    return callers[classes.index(max(number, key=number.__getitem__))]


def _tell(caller: _Caller[Question, Answer], answer: Answer | Refusal) -> None:
    if caller.answer.done():
        # It was cancelled meanwhile.
        return
    if isinstance(answer, Refusal):
        caller.answer.set_exception(answer)
    else:
        caller.answer.set_result(answer)
