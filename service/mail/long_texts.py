"""Long texts' part of the event loop: where short ones come as well, long ones leave it free for most of the time.

Owns when a piece of a long text is taken. A process that keeps its cores busy makes all that a short text waits for (a
thread, Postgres, its own sender) wait at each step, and where its container has a limit the kernel stops all of it for
milliseconds. What long texts need now and then they have at once; above that they have one turn at a time, by tenant,
and none of them for so long after some pieces that they had their part of the loop and no more. Nothing is held back
unless a short text came lately. Long trains of commands, thousands of recipients in one go, keep the loop as busy and
count as long texts. Refuses to know texts and commands.
"""

import asyncio
import time
from collections.abc import Callable
from functools import partial

from service.mail.pace import Pace
from service.mail.turns import Turns, Whose

PART = 0.2
"""The part of the loop's time for long texts that had more than what they may have at once: some 100 MB a second."""
AT_ONCE = 0.15
"""Seconds of the loop's time that they may have beyond that part: 30 to 80 MB."""
MOST_OWED = 2 * AT_ONCE
"""Seconds beyond that part that are remembered: what they had while nobody minded isn't paid for without end."""
REST = 0.001
"""Seconds without any of them that are worth a timer."""
LONGEST_REST = 0.05
"""Seconds of it at most, as a piece may have met a collection of garbage."""
LATELY = 10.0
"""Seconds after a short text for which others are expected."""


class LongTexts:
    """All long texts of a process, in its event loop; `turns` has one. `used` is what the loop has had of a core.

    What counts is taking the pieces; reading and decrypting them, and having them written, come on top.
    """

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
        self._paid = 0.0
        """When what they took will be paid for by their part of the loop."""
        self._resting = 0.0
        """Seconds of rest that are due."""

    def short_came(self) -> None:
        """A text came to its end that wasn't long."""
        self._short_until = self._clock() + LATELY

    def soon(self, whose: Whose, call: Callable[[], object]) -> None:
        """Call `call`, which takes a piece of a long text, in turn."""
        now = self._clock()
        if now >= self._short_until or self._paid - now <= AT_ONCE / PART:
            self._pace.soon(whose, partial(self._take, call))
        else:
            # Who has the turn of all tenants is nobody's at the loop: it waits for no other step of its own tenant.
            self._turns.call(whose, partial(self._pace.soon, None, partial(self._take_in_turn, whose, call)), cost=0.0)

    def _take(self, call: Callable[[], object]) -> None:
        began = self._used()
        try:
            call()
        finally:
            self._count(began)

    def _take_in_turn(self, whose: Whose, call: Callable[[], object]) -> None:
        began = self._used()
        try:
            call()
        finally:
            took = self._count(began)
            self._resting += took * (1.0 / PART - 1.0)
            self._rest(partial(self._turns.give_back, whose, cost=took))

    def _count(self, began: float) -> float:
        """Have a piece paid for; the seconds it took."""
        now, took = self._clock(), self._used() - began
        self._paid = min(max(now, self._paid) + took / PART, now + MOST_OWED / PART)
        return took

    def _rest(self, give_back: Callable[[], object]) -> None:
        """End a turn, once the loop has rested for as long as is due, if that is worth it by now."""
        if self._resting < REST:
            give_back()
        else:
            asyncio.get_running_loop().call_later(min(self._resting, LONGEST_REST), give_back)
            self._resting = 0.0
