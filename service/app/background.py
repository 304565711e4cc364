"""Tasks that run beside the sessions: renewals, watches, measurements.

Owns that none dies unnoticed: one that fails is told in the log and begun again. Refuses to know what they do.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

from service.telemetry.logs import get_log

PAUSE = 1.0


class Background:
    """The tasks of one process."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        """Run `work` until the end, anew whenever it fails."""
        self._tasks.add(asyncio.create_task(_forever(name, work), name=name))

    def every(self, name: str, seconds: float, work: Callable[[], Awaitable[None]]) -> None:
        """Run `work` now and then each `seconds`."""

        async def again() -> None:
            while True:
                await work()
                await asyncio.sleep(seconds)

        self.start(name, again)

    async def stop(self) -> None:
        """Cancel all and wait for their end; again, should a library have swallowed the cancellation."""
        while running := {task for task in self._tasks if not task.done()}:
            for task in running:
                task.cancel()
            await asyncio.wait(running, timeout=PAUSE)


async def _forever(name: str, work: Callable[[], Awaitable[None]]) -> None:
    while True:
        try:
            await work()
        except Exception:
            # What can't be told begins again all the same: a renewal that ends for good costs every session its lease.
            with suppress(Exception):
                get_log(name).exception("failed, and begins again")
            await asyncio.sleep(PAUSE)


@asynccontextmanager
async def background() -> AsyncIterator[Background]:
    """Tasks that end with the block."""
    tasks = Background()
    try:
        yield tasks
    finally:
        await tasks.stop()
