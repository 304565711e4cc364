"""How long a client is kept waiting for octets of a store before it is refused.

Owns the one clock of a retrieval. It counts what the store takes: from the first request on through all repetitions,
and anew whenever octets came, so that a store which is slow but gives is waited for. Standing in line for a turn at the
store counts only as long as the store gives nothing to anybody: while it hangs, who waits in line hears of it as soon
as who waits for it (G14).
Refuses to know stores and turns. RFC 3206 §4: [SYS/TEMP] is for what is likely to pass.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from service.model.refusal import Reason, Refusal


@dataclass(slots=True)
class Flow:
    """When a store last gave anything to anybody, by the event loop's clock."""

    heard: float = float("-inf")

    def hear(self) -> None:
        """It did now."""
        self.heard = asyncio.get_running_loop().time()


class Patience:
    """The clock of one retrieval, for use in one event loop."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._loop = asyncio.get_running_loop()
        self._since = self._loop.time()
        """When the wait began, later by as long as it doesn't count."""
        self._flow: Flow | None = None
        self._lined_up: float | None = None
        """Since when this stands in line, None while the store is asked."""
        self._alarm: asyncio.Timeout | None = None
        self._timer: asyncio.TimerHandle | None = None

    def came(self) -> None:
        """Octets came: the next ones have as long again."""
        self._since = self._loop.time()
        if self._flow is not None:
            self._flow.heard = self._since

    @property
    def over(self) -> bool:
        """Whether the wait was ended for it: what is cancelled now is cancelled for that."""
        return self._alarm is not None and self._alarm.expired()

    def line_up(self, flow: Flow) -> None:
        """Stand in line from now on: what the store gives to others shows that it isn't what is waited for."""
        self._flow, self._lined_up = flow, self._loop.time()

    def go_on(self) -> None:
        """The store is asked now; what it was asked for before still counts."""
        self._since, self._lined_up = self._began(), None

    @asynccontextmanager
    async def kept(self, what: str) -> AsyncIterator[None]:
        """Raises Refusal(UNAVAILABLE) where nothing of `what` came for so many seconds in the block."""
        try:
            async with asyncio.timeout(None) as self._alarm:
                self._look()
                yield
        except TimeoutError:
            raise Refusal(Reason.UNAVAILABLE, f"{what}: nothing within {self._seconds:g} s") from None
        finally:
            if self._timer is not None:
                self._timer.cancel()

    def _began(self) -> float:
        """When the wait began: what passed in line while others were served doesn't count."""
        if self._lined_up is None or self._flow is None:
            return self._since
        return self._since + max(0.0, self._flow.heard - self._lined_up)

    def _look(self) -> None:
        """End the wait, or look again when it might have to end: most are over by then, whoever else was served."""
        ends = self._began() + self._seconds
        if self._alarm is not None and ends <= self._loop.time():
            self._alarm.reschedule(ends)
        else:
            self._timer = self._loop.call_at(ends, self._look)
