"""One moment of one connection by which something must have happened, moved at every command for an addition.

Owns the moment. All of an event loop's stand in one wheel, by the tick in which they come; the loop has one timer, for
the next tick in which there is any. A moment that moves later stays where it stands, and is looked at again when that
tick comes; so a busy connection moves nothing at all, nor does one that is soon over. An expiry comes up to one tick
late and never early. Refuses to know what the deadline is for.
RFC 1939 §3 (autologout).
"""

import asyncio
from collections.abc import Callable
from contextvars import copy_context
from heapq import heappop, heappush
from math import ceil, inf

FINE, COARSE = 0.05, 1.0
"""Seconds between two ticks: for moments that are near, and for the others, of which thousands then share one."""
FAR = 30.0
"""Seconds from now on from which a moment is no longer near."""
SOON = 4.0
"""Seconds until the first look at what comes later: most connections are over by then, or wait for their end."""
NOWHERE = inf
"""The tick of what stands in none: later than any moment."""


class Deadline:
    """Calls `expired` once when the moment last set has passed; made and used on the running event loop, `loop`."""

    __slots__ = ("_expired", "_moment", "_tick", "_wheel")

    def __init__(self, expired: Callable[[], object], loop: asyncio.AbstractEventLoop | None = None) -> None:
        self._wheel = wheel_of(loop or asyncio.get_running_loop())
        self._expired = expired
        self._moment: float | None = None
        self._tick = NOWHERE
        """Where it stands in the wheel."""

    def set(self, seconds: float) -> None:
        """Let the deadline be `seconds` from now, whatever it was before."""
        moment = self._moment = self._wheel.time() + seconds
        if self._tick > moment:
            self._come_sooner(moment, seconds)

    def clear(self) -> None:
        """Have no deadline for now; cheap, as it may go on standing somewhere, where nothing will be to do."""
        self._moment = None

    def close(self) -> None:
        """Have no deadline any more: nothing refers to the connection after this."""
        self._moment = None
        self._expired = _nothing
        if self._tick != NOWHERE:
            self._wheel.take(self, self._tick)
            self._tick = NOWHERE

    def come(self) -> None:
        """The tick in which it stood has come; to be called by the wheel alone."""
        self._tick = NOWHERE
        if self._moment is not None:
            # By itself, as whatever `expired` raises is no other connection's business.
            self._wheel.loop.call_soon(self._look, context=self._wheel.context)

    def _look(self) -> None:
        if self._moment is None or self._tick != NOWHERE:
            return
        left = self._moment - self._wheel.time()
        if left > 0:
            self._tick = self._wheel.put(self, self._moment, left)
        else:
            self._moment = None
            self._expired()

    def _come_sooner(self, moment: float, seconds: float) -> None:
        """It stands in no tick yet, or in a later one."""
        late = self._tick - moment
        if late == NOWHERE:
            # So what a short session waits for last needn't move it.
            first = SOON - seconds if seconds > SOON + COARSE else 0.0
            self._tick = self._wheel.put(self, moment + first, FAR if first else seconds)
        elif late > FINE and (seconds < FAR or late > COARSE):
            # A tick is no moment: where the next one after this would be no earlier, it may go on standing where it is.
            self._wheel.take(self, self._tick)
            self._tick = self._wheel.put(self, moment, seconds)


class Wheel:
    """The deadlines of one event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.time = loop.time
        self.context = copy_context()
        """What is called here is called in the context of who accepts connections, and in no session's."""
        self._ticks: dict[float, set[Deadline]] = {}
        self._order: list[float] = []
        """A heap of the ticks; one in which nobody stands any more goes when it comes."""
        self._timer: asyncio.Handle | None = None
        self._wakes = 0.0
        """When the timer comes. uvloop's handle of one that is due at once can't tell."""
        self._standing = 0

    def put(self, deadline: Deadline, moment: float, seconds: float) -> float:
        """Have it come in the first tick that isn't before `moment`, a coarse one if `seconds` are many; that tick."""
        between = COARSE if seconds >= FAR else FINE
        tick = max(ceil(moment / between) * between, moment)
        standing = self._ticks.get(tick)
        if standing is None:
            standing = self._ticks[tick] = set()
            heappush(self._order, tick)
        standing.add(deadline)
        self._standing += 1
        if self._timer is None or tick < self._wakes:
            self._wake_at(tick)
        return tick

    def take(self, deadline: Deadline, tick: float) -> None:
        """Forget `deadline`, which stands in `tick`."""
        self._ticks[tick].discard(deadline)
        self._standing -= 1
        if not self._standing:
            self._rest()

    def _rest(self) -> None:
        """Nobody stands anywhere: keep the loop from nothing."""
        self._ticks.clear()
        self._order.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _wake_at(self, tick: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._wakes = tick
        self._timer = self.loop.call_at(tick, self._wake, context=self.context)

    def _wake(self) -> None:
        self._timer = None
        now = self.time()
        while self._order and self._order[0] <= now:
            come = self._ticks.pop(heappop(self._order))
            self._standing -= len(come)
            for deadline in come:
                deadline.come()
        if self._standing:
            self._wake_at(self._order[0])
        else:
            self._rest()


_wheel: Wheel | None = None
"""Of the loop that was asked for last: a process has one."""


def wheel_of(loop: asyncio.AbstractEventLoop) -> Wheel:
    """The wheel of `loop`, which runs."""
    global _wheel  # noqa: PLW0603 - as the running loop is
    if _wheel is None or _wheel.loop is not loop:
        _wheel = Wheel(loop)
    return _wheel


def _nothing() -> None:
    """What a closed deadline calls, so that it doesn't refer to the connection."""
