"""The way to whichever server Sentinel calls the master now.

Owns that Sentinel is asked again while connections work: a former master that is cut off from its Sentinels takes
writes until it hears of the new one, and nothing on its own connections tells. Refuses to depend on Sentinel for more:
while none answers, the last known master serves.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

from redis.asyncio.sentinel import SentinelConnectionPool

from service.stores.redis.line import Line
from service.stores.redis.scripts import Word
from service.stores.redis.wire import Wire

ASK_EVERY = 1.0
"""Seconds between two questions, from the first pipeline on."""


class MasterWire:
    """A `Wire` to the master of `pool`."""

    def __init__(self, pool: SentinelConnectionPool, every: float = ASK_EVERY) -> None:
        self._pool = pool
        self._every = every
        self._wire = Wire(pool)
        self._asking: asyncio.Task[None] | None = None

    async def __call__(self, commands: Sequence[tuple[Word, ...]]) -> list[object]:
        """As `Wire` does."""
        if self._asking is None:
            self._asking = asyncio.create_task(self._ask())
        return await self._wire(commands)

    def take(self) -> Line | None:
        """As `Wire` does."""
        return self._wire.take()

    def give_back(self, line: Line) -> None:
        """As `Wire` does."""
        self._wire.give_back(line)

    def lost(self, line: Line) -> None:
        """As `Wire` does."""
        self._wire.lost(line)

    def look_through(self, answers: Sequence[object]) -> None:
        """As `Wire` does."""
        self._wire.look_through(answers)

    async def aclose(self) -> None:
        """Ask no more and end every connection."""
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.gather(self._asking, return_exceptions=True)
        await self._wire.aclose()

    async def _ask(self) -> None:
        known: object = None
        ask: Callable[[], Awaitable[object]] = self._pool.get_master_address
        while True:
            # Whatever keeps Sentinel from an answer, it is asked again: nobody would hear that this ended.
            with suppress(Exception):
                master = await ask()
                if master != known:
                    self._wire.renew()
                known = master
            await asyncio.sleep(self._every)
