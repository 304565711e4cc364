"""Work that is done beside a loop which must not wait for it, by one task at a time.

Owns that it never runs twice at once, that what came up while it ran is seen to right after, and what it was refused
last. Refuses to know what the work is; it begins only when it is told to.
"""

import asyncio
from collections.abc import Awaitable, Callable

from service.model.refusal import Refusal


class SingleFlight:
    """Does `work`, which may raise Refusal, whenever it is told to begin."""

    def __init__(self, work: Callable[[], Awaitable[None]]) -> None:
        self._work = work
        self._task: asyncio.Task[None] | None = None
        self._again = False
        self.refusal: Refusal | None = None
        """What refused the work when it was done last; None where nothing did."""

    def begin(self) -> None:
        """Begin, or once more after what is under way. Raises what the work failed with before that was no refusal."""
        if self._task is not None and not self._task.done():
            self._again = True
            return
        if self._task is not None and not self._task.cancelled():
            self._task.result()
        self._task = asyncio.create_task(self._fly())

    async def close(self) -> None:
        """Break off what is under way, and return once it has ended."""
        task, self._task = self._task, None
        if task is not None and not task.done():
            task.cancel()
            await asyncio.wait({task})

    async def _fly(self) -> None:
        while True:
            self._again = False
            try:
                await self._work()
            except Refusal as refusal:
                self.refusal = refusal
            else:
                self.refusal = None
            if not self._again:
                return
