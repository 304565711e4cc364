"""A coroutine that goes on step by step, each in its turn of the event loop.

Owns the stepping: what a task would do, but for the turns between. Refuses to know whose turn is next, which is
`pace.py`'s, and the work.
"""

import asyncio
import time
from collections.abc import Coroutine, Generator
from typing import Any, Generic, Protocol, TypeVar

from service.mail.pace import Pace, Whose

Result = TypeVar("Result")


class Caller(Protocol):
    """On whose behalf work is done; it may turn out to be another's while it is."""

    @property
    def whose(self) -> Whose:
        """The class of callers."""


class Steps(Generic[Result]):
    """An awaitable that runs `work` as the task that awaits it would, but for the turns between its steps.

    Where it has `begun`, its first step runs in a turn that is the caller's.
    """

    __slots__ = ("_begun", "_caller", "_pace", "_work", "had_turn")

    def __init__(self, pace: Pace, work: Coroutine[Any, Any, Result], caller: Caller, *, begun: bool = False) -> None:
        self._pace = pace
        self._work = work
        self._caller = caller
        self._begun = begun
        self.had_turn = False
        """Whether the last step ran in a turn: it has none if it was cancelled while it waited for one."""

    def __await__(self) -> Generator[Any, None, Result]:
        """Give what the coroutine returns, or raise what it raises; what is thrown in, it hears of in its turn."""
        pace, work, caller = self._pace, self._work, self._caller
        thrown: BaseException | None = None
        turn, counted = self._begun, 0.0
        while True:
            if not turn and not (turn := pace.spent < pace.unasked or pace.may_begin(caller.whose)):
                try:
                    counted = yield from pace.begin(caller.whose).__await__()
                    turn = True
                except asyncio.CancelledError as error:
                    # It hears of its end now: whoever gives up takes nobody's turn.
                    thrown = error
            began = time.perf_counter()
            try:
                waits_for = work.throw(thrown) if thrown else work.send(None)
            except StopIteration as end:
                self.had_turn = turn
                result: Result = end.value
                return result
            finally:
                # What is raised refers to this frame, which must not refer to it: in a ring, what a cut response held
                # would stay until the collector comes by.
                thrown = None
                if turn:
                    # Whose it was may have turned out meanwhile; that one pays for it.
                    pace.ended(caller.whose, time.perf_counter() - began, counted)
            turn, counted = False, 0.0
            try:
                yield waits_for
            except GeneratorExit:
                work.close()
                raise
            except BaseException as error:
                thrown = error
            waits_for = None
