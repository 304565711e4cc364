"""A coroutine that goes on step by step, each in its turn of the event loop.

Owns the stepping: what a task would do, but for the turns between. Refuses to know whose turn is next, which is
`pace.py`'s, and the work.
"""

import asyncio
import time
from collections.abc import Coroutine, Generator
from types import coroutine
from typing import Any, Protocol, TypeVar

from service.mail.pace import Pace, Whose
from service.mail.rounds import SHORT

Result = TypeVar("Result")


class Caller(Protocol):
    """On whose behalf work is done; it may turn out to be another's while it is."""

    @property
    def whose(self) -> Whose:
        """The class of callers."""

    goes_on: bool
    """Whether a turn is the caller's that hasn't ended: whatever is run next ends it, or goes on."""


@coroutine
def in_turns(pace: Pace, work: Coroutine[Any, Any, Result], caller: Caller) -> Generator[Any, Any, Result]:
    """Run `work` as the task that awaits this would, but for the turns between its steps.

    Gives what it returns, or raises what it raises; what is thrown in, it hears of in its turn. Its first step goes on
    with a turn that is the caller's, and the caller goes on with that of its last one: there is none if it was
    cancelled while it waited for one.
    """
    thrown: list[BaseException] = []
    counted = 0.0
    at_once = caller.goes_on or pace.spent < pace.unasked or pace.may_begin(caller.whose)
    caller.goes_on = False
    while True:
        if not at_once:
            counted = yield from _wait(pace, caller.whose, thrown)
        began = time.perf_counter()
        try:
            # What is raised refers to this frame, which must not refer to it: in a ring, what a cut response held
            # would stay until the collector comes by.
            waits_for = work.throw(thrown.pop()) if thrown else work.send(None)
        except StopIteration as end:
            caller.goes_on = at_once or counted > 0.0
            result: Result = end.value
            return result
        finally:
            # Whose it was may have turned out meanwhile; that one pays for it.
            if at_once:
                # As `Pace.ended` does it.
                seconds = time.perf_counter() - began
                pace.took[caller.whose].append(seconds)
                if seconds > SHORT:
                    pace.spent += seconds
                else:
                    pace.spent += SHORT
            elif counted:
                pace.ended(caller.whose, time.perf_counter() - began, counted)
        try:
            yield waits_for
        except GeneratorExit:
            work.close()
            raise
        except BaseException as error:
            thrown.append(error)
            waits_for = None
        at_once = pace.spent < pace.unasked or pace.may_begin(caller.whose)


def _wait(pace: Pace, whose: Whose, thrown: list[BaseException]) -> Generator[Any, Any, float]:
    """Wait for a turn; what of it is counted, nothing if this was cancelled: `thrown` holds that alone then."""
    try:
        return (yield from pace.begin(whose).__await__())
    except asyncio.CancelledError as error:
        # It hears of its end now: whoever gives up takes nobody's turn.
        thrown[:] = [error]
        return 0.0
