"""Work that a login leaves behind: done beside it, never in its way, and never more than so much at a time.

Owns the bound, one piece of work for each credential at a time, and the short grace of a process that ends. Refuses
to know what the work is; whatever goes wrong with it, the next login tries again (G15).
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any
from uuid import UUID

GRACE = 2.0
"""Seconds for which a process that ends waits for what is under way."""


class Afterwards:
    """At most `most` pieces of work, each under the name of what it is done for."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._running: dict[UUID, asyncio.Task[None]] = {}

    def begin(self, which: UUID, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Begin `work`, unless some is under way for `which` already or there is too much in all."""
        if which in self._running or len(self._running) >= self._most:
            return
        task = asyncio.create_task(work())
        self._running[which] = task
        task.add_done_callback(lambda _: self._running.pop(which, None))

    async def settled(self) -> None:
        """Wait for all that have begun."""
        await asyncio.gather(*self._running.values(), return_exceptions=True)

    async def close(self) -> None:
        """Give what is under way a short while, then end it."""
        running = list(self._running.values())
        if running:
            _, late = await asyncio.wait(running, timeout=GRACE)
            for task in late:
                task.cancel()
