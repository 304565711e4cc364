"""Calls that come while others are on their way, put together into one statement.

Owns who goes with whom: whoever comes when a way is free goes at once, whoever comes later waits for it with all the
others, so that the more there is to do, the less each costs, and a single caller waits for nobody. Those that must not
stand in one statement don't. In an outage nobody waits for more than two statements that fail, and what no refusal
tells is a temporary one for each (G14). Refuses to know statements; whoever is cancelled while one is on its way is
asked for all the same.
"""

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Sequence
from contextvars import Context, copy_context
from dataclasses import dataclass
from functools import partial
from typing import Generic, TypeVar

from service.model.refusal import Reason, Refusal
from service.stores.postgres.errors import may_pass

MOST = 64
"""Calls in one statement."""
WAYS = 2
"""Statements at a time."""
WORTH = 8
"""Calls for which another statement goes beside one that is on its way: fewer had better wait and be more."""
Question = TypeVar("Question")
Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class _Caller(Generic[Question, Answer]):
    question: Question
    apart: Hashable
    """Nobody else with the same one goes along."""
    answer: "asyncio.Future[Answer]"
    context: Context
    came: float


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

    async def ask(self, question: Question, apart: Hashable) -> Answer:
        """The answer. Raises the Refusal that stands in its place."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Answer] = loop.create_future()
        caller = _Caller(question, apart, answer, copy_context(), loop.time())
        self._waiting.append(caller)
        if self._may_go() and not self._looking:
            # Those that come in the same turn of the event loop go along.
            self._looking = True
            loop.call_soon(self._look)
        return await answer

    def _may_go(self) -> bool:
        return self._free == self._ways or (self._free > 0 and len(self._waiting) >= self._worth)

    def _look(self) -> None:
        self._looking = False
        self._waiting = [caller for caller in self._waiting if not caller.answer.done()]
        while self._waiting and self._may_go():
            self._free -= 1
            callers = self._next()
            # The statement shows in the trace of the first of them.
            task = asyncio.get_running_loop().create_task(self._go(callers), context=callers[0].context)
            self._tasks.add(task)
            task.add_done_callback(partial(self._gone, callers))

    def _next(self) -> list[_Caller[Question, Answer]]:
        """Those that go now, in the order in which they came."""
        going: dict[Hashable, _Caller[Question, Answer]] = {}
        left = []
        for caller in self._waiting:
            if len(going) < self._most and caller.apart not in going:
                going[caller.apart] = caller
            else:
                left.append(caller)
        self._waiting = left
        return list(going.values())

    def _gone(self, callers: Sequence[_Caller[Question, Answer]], task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        self._free += 1
        defect = None if task.cancelled() else task.exception()
        if defect is not None:
            task.get_loop().call_exception_handler({"message": "a statement of several failed", "exception": defect})
        for caller in callers:
            if defect is None:
                caller.answer.cancel()
            else:
                # Its text may hold what was asked.
                cause = f"postgres: {type(defect).__name__} in what was asked together"
                _tell(caller, Refusal(Reason.UNAVAILABLE, cause))
        self._look()

    async def _go(self, callers: Sequence[_Caller[Question, Answer]]) -> None:
        answers = await self._answers([caller.question for caller in callers])
        if answers is None and len(callers) > 1:
            # It is the statement that failed, for what one of them brought: the others mustn't suffer from it.
            alone = await asyncio.gather(*(self._go([caller]) for caller in callers), return_exceptions=True)
            for defect in filter(None, alone):
                raise defect
            return
        if answers is None:
            raise TypeError("no answers at all")
        # Where there are too few, nobody's is known.
        for caller, answer in list(zip(callers, answers, strict=True)):
            _tell(caller, answer)

    async def _answers(self, questions: Sequence[Question]) -> Sequence[Answer | Refusal] | None:
        """None where each had better be asked by itself."""
        began = asyncio.get_running_loop().time()
        try:
            return await self._ask(questions)
        except Refusal as refusal:
            passing = may_pass(refusal.__cause__ or refusal)
            if len(questions) > 1 and not passing:
                return None
            if passing:
                self._refuse_before(began, refusal)
            return [Refusal(refusal.reason, refusal.cause) for _ in questions]

    def _refuse_before(self, began: float, refusal: Refusal) -> None:
        """Who came before this statement began has waited for one already: the next would fail as late."""
        for caller in self._waiting:
            if caller.came <= began:
                _tell(caller, Refusal(refusal.reason, refusal.cause))


def _tell(caller: _Caller[Question, Answer], answer: Answer | Refusal) -> None:
    if caller.answer.done():
        # It was cancelled meanwhile.
        return
    if isinstance(answer, Refusal):
        caller.answer.set_exception(answer)
    else:
        caller.answer.set_result(answer)
