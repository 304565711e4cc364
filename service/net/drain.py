"""How a process ends without cutting anybody off: what readiness says, and the order of the steps.

Owns the phases and their time limits. Refuses to know signals (the app's), HTTP (telemetry's) and what a
connection has to finish (its own).
"""

import asyncio
from collections.abc import Sequence
from enum import Enum
from typing import Protocol

END_SECONDS = 10.0
"""How long connections that were ended may take to give their leases back."""


class Phase(Enum):
    """Where a process is in its life; it is ready for traffic in READY alone."""

    STARTING = "starting"
    READY = "ready"
    DRAINING = "draining"


class Drainable(Protocol):
    """A listener, as the drain sees it."""

    def drain(self) -> None:
        """Accept nobody any more, and drain every connection."""

    def end(self) -> None:
        """End every connection."""

    async def wait_closed(self) -> None:
        """Return once no connection is left."""


class Drain:
    """The phase of this process, and the way out of it."""

    def __init__(self) -> None:
        self.phase = Phase.STARTING

    def ready(self) -> None:
        """All listeners listen; no effect once draining."""
        if self.phase is Phase.STARTING:
            self.phase = Phase.READY

    async def run(self, listeners: Sequence[Drainable], grace: float, settle: float = 0.0) -> bool:
        """Drain `listeners` within `grace` seconds, then end what is left; whether nothing had to be ended.

        `settle` seconds pass between the change of readiness and the closing of the listeners, for load balancers
        to look away; they don't count towards `grace`. Returns at most END_SECONDS after the grace.
        """
        self.phase = Phase.DRAINING
        await asyncio.sleep(settle)
        for listener in listeners:
            listener.drain()
        if await _all_closed(listeners, grace):
            return True
        for listener in listeners:
            listener.end()
        await _all_closed(listeners, END_SECONDS)
        return False


async def _all_closed(listeners: Sequence[Drainable], seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            for listener in listeners:
                await listener.wait_closed()
    except TimeoutError:
        return False
    return True
