"""The event loop's time, which all sessions of a process share: so much work is done between two looks at the sockets.

Owns when a coroutine goes on. A loop runs whatever is ready in one go: without this, a step of each of a tenant's
thousand sessions runs before another's only one, at each step again. A step is what runs between two waits; it costs
the time it takes. Refuses to know the work. Nothing waits while fewer steps are ready than may run in one round.
"""

import asyncio
import time
from collections.abc import Callable, Coroutine, Generator
from functools import partial
from typing import Any, Generic, TypeVar

from service.mail.turns import Turns, Whose

SHORT = 0.00005
"""Seconds of a step that counts as one."""
Result = TypeVar("Result")


class Pace:
    """As many steps in one round of the event loop as there are `turns`."""

    def __init__(self, turns: Turns) -> None:
        self._turns = turns
        self._done: list[tuple[Whose, int, float]] = []

    def work(
        self,
        work: Coroutine[Any, Any, Result],
        whose: Callable[[], Whose],
        *,
        begun: bool = False,
        goes_on: bool = False,
    ) -> "Steps[Result]":
        """`work`, to be awaited, step by step in turn; `whose` is asked before each step. It belongs to the result.

        Where it has `begun`, its first step runs in a turn that is the caller's. Where it `goes_on`, the turn of its
        last step is the caller's once it has returned, if it `kept` one: then `end` must follow.
        """
        return Steps(self, work, whose, begun, goes_on)

    @property
    def wanted(self) -> bool:
        """Whether somebody waits for a turn."""
        return self._turns.waiting > 0

    def try_begin(self, whose: Whose) -> bool:
        """Whether a step may run at once; if so, `end` must follow."""
        return self._turns.try_take(whose, cost=0.0)

    def begin(self, whose: Whose) -> Coroutine[Any, Any, None]:
        """Wait until a step may run, which couldn't at once; `end` must follow."""
        return self._turns.wait(whose, cost=0.0)

    def soon(self, whose: Whose, call: Callable[[], object]) -> None:
        """Call `call` in turn: at once where there is room. Where it gives True its turn goes on; `end` must follow."""
        if self._turns.try_take(whose, cost=0.0):
            self.go_on(whose, call)
        else:
            self._turns.call(whose, partial(self.go_on, whose, call), cost=0.0)

    def go_on(self, whose: Whose, call: Callable[[], object]) -> None:
        """Call `call` in a turn that was begun, which ends with it unless it gives True."""
        began = time.perf_counter()
        goes_on = False
        try:
            goes_on = call() is True
        finally:
            self.end(whose, time.perf_counter() - began, goes_on=goes_on)

    def end(self, whose: Whose, seconds: float, *, goes_on: bool = False) -> None:
        """A step took `seconds`. Its turn goes to another in the next round, once the sockets were looked at.

        A long one uses up the turns of several, so that the round is soon over. Where it `goes_on`, what follows it
        runs in the same turn.
        """
        if not self._done:
            asyncio.get_running_loop().call_soon(self._next_round)
        amount = 0 if goes_on else 1
        if seconds >= SHORT:
            amount += self._turns.hold_more(whose, int(seconds / SHORT))
        self._done.append((whose, amount, seconds))

    def pass_on(self, whose: Whose, to: Whose) -> None:
        """A turn that was begun for one class turned out to be another's."""
        self._turns.pass_on(whose, to)

    def _next_round(self) -> None:
        done, self._done = self._done, []
        self._turns.give_all_back(done)


class Steps(Generic[Result]):
    """An awaitable that runs a coroutine as the task that awaits it would, but for the turns between its steps."""

    __slots__ = ("_begun", "_goes_on", "_pace", "_whose", "_work", "kept")

    def __init__(
        self, pace: Pace, work: Coroutine[Any, Any, Result], whose: Callable[[], Whose], begun: bool, goes_on: bool
    ) -> None:
        self._pace = pace
        self._work = work
        self._whose = whose
        self._begun = begun
        self._goes_on = goes_on
        self.kept = False
        """Whether the turn of the last step wasn't ended. That step has none if it was cancelled while it waited."""

    def __await__(self) -> Generator[Any, None, Result]:
        """Give what the coroutine returns, or raise what it raises; what is thrown in, it hears of in its turn."""
        thrown: BaseException | None = None
        turn = self._begun
        while True:
            whose = self._whose()
            if not turn and not (turn := self._pace.try_begin(whose)):
                try:
                    yield from self._pace.begin(whose).__await__()
                    turn = True
                except asyncio.CancelledError as error:
                    # It hears of its end now: whoever gives up takes nobody's turn.
                    thrown = error
            began = time.perf_counter()
            goes_on = False
            try:
                waits_for = self._work.throw(thrown) if thrown else self._work.send(None)
            except StopIteration as end:
                result: Result = end.value
                self.kept = goes_on = self._goes_on and turn
                return result
            finally:
                # What is raised refers to this frame, which must not refer to it: in a ring, what a cut response held
                # would stay until the collector comes by.
                thrown = None
                if turn:
                    seconds, began_for = time.perf_counter() - began, whose
                    if (whose := self._whose()) != began_for:
                        # It turned out to be another's, who pays for it.
                        self._pace.pass_on(began_for, whose)
                    self._pace.end(whose, seconds, goes_on=goes_on)
            turn = False
            try:
                yield waits_for
            except GeneratorExit:
                self._work.close()
                raise
            except BaseException as error:
                thrown = error
            waits_for = None
