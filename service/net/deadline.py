"""One timer of one connection, re-armed at every command for the price of an addition.

Owns the moment. The event loop's timer is left where it is when the moment moves later, and looks again when it
fires; so a busy connection makes no timer at all. Refuses to know what the deadline is for.
RFC 1939 §3 (autologout).
"""

import asyncio
from collections.abc import Callable


class Deadline:
    """Calls `expired` once when the moment last set has passed; made and used on the running event loop."""

    __slots__ = ("_expired", "_loop", "_moment", "_timer", "_wakes")

    def __init__(self, expired: Callable[[], object]) -> None:
        self._loop = asyncio.get_running_loop()
        self._expired = expired
        self._moment: float | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._wakes = 0.0

    def set(self, seconds: float) -> None:
        """Let the deadline be `seconds` from now, whatever it was before."""
        moment = self._moment = self._loop.time() + seconds
        if self._timer is None or moment < self._wakes:
            self._wake_at(moment)

    def clear(self) -> None:
        """Have no deadline for now; cheap, as a timer may stay behind that finds nothing to do."""
        self._moment = None

    def close(self) -> None:
        """Have no deadline and no timer any more: nothing refers to the connection after this."""
        self._moment = None
        self._expired = _nothing
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _wake_at(self, moment: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._wakes = moment
        self._timer = self._loop.call_at(moment, self._wake)

    def _wake(self) -> None:
        self._timer = None
        if self._moment is None:
            return
        if self._moment > self._loop.time():
            self._wake_at(self._moment)
        else:
            self._moment = None
            self._expired()


def _nothing() -> None:
    """What a closed deadline calls, so that it doesn't refer to the connection."""
