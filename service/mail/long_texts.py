"""Long texts' part of the event loop: where short ones come as well, long ones leave it free for most of the time.

Owns when a piece of a long text is taken. A loop that is never idle keeps a core busy, and all that a short text waits
for (a thread, Postgres, its own sender) waits for that core at each step. What a tenant's long texts need now and then
they have at once; above that, all long texts together have one turn at a time, by tenant, and after some of them the
loop rests for so long that they had their part of it and no more. Nothing is held back unless a short text came lately.
Refuses to know texts.
"""

import asyncio
import time
from collections.abc import Callable
from functools import partial

from service.mail.pace import Pace
from service.mail.turns import Turns, Whose

PART = 0.25
"""The part of the loop's time for long texts of tenants that had more than what they may have at once."""
AT_ONCE = 0.06
"""Seconds of the loop's time that one tenant's long texts may have beyond that part: some 25 MB."""
REST = 0.002
"""Seconds of rest that are worth a timer."""
LATELY = 10.0
"""Seconds after a short text for which others are expected."""
FEW = 64


class LongTexts:
    """All long texts of a process, in its event loop; `turns` has one. `used` is what the loop has had of a core."""

    def __init__(
        self,
        pace: Pace,
        turns: Turns,
        clock: Callable[[], float] = time.monotonic,
        used: Callable[[], float] = time.thread_time,
    ) -> None:
        self._pace = pace
        self._turns = turns
        self._clock = clock
        self._used = used
        self._short_until = 0.0
        self._paid: dict[Whose, float] = {}
        """By tenant, when what its long texts took will be paid for by their part of the loop."""
        self._owed = 0.0
        """Seconds of rest that are due."""

    def short_came(self) -> None:
        """A text came to its end that wasn't long."""
        self._short_until = self._clock() + LATELY

    def soon(self, whose: Whose, call: Callable[[], object]) -> None:
        """Call `call`, which takes a piece of a long text, in turn."""
        now = self._clock()
        if now >= self._short_until or self._paid.get(whose, now) - now <= AT_ONCE / PART:
            self._pace.soon(whose, partial(self._take, whose, call))
        else:
            self._turns.call(whose, partial(self._pace.soon, whose, partial(self._take_in_turn, whose, call)), cost=0.0)

    def _take(self, whose: Whose, call: Callable[[], object]) -> None:
        began = self._used()
        try:
            call()
        finally:
            self._count(whose, began)

    def _take_in_turn(self, whose: Whose, call: Callable[[], object]) -> None:
        began = self._used()
        try:
            call()
        finally:
            took = self._count(whose, began)
            self._owed += took * (1.0 / PART - 1.0)
            self._rest(partial(self._turns.give_back, whose, cost=took))

    def _count(self, whose: Whose, began: float) -> float:
        """Have its tenant pay for a piece; the seconds it took."""
        now, took = self._clock(), self._used() - began
        if len(self._paid) >= FEW:
            self._paid = {each: until for each, until in self._paid.items() if until > now}
        self._paid[whose] = max(now, self._paid.get(whose, now)) + took / PART
        return took

    def _rest(self, give_back: Callable[[], object]) -> None:
        """End a turn, once the loop has rested for as long as is due, if that is worth it by now."""
        if self._owed < REST:
            give_back()
        else:
            asyncio.get_running_loop().call_later(self._owed, give_back)
            self._owed = 0.0
