"""Fails fast while a server is out of reach, so that an outage costs a login milliseconds, not a deadline.

Owns the open and closed state, and the probe that closes it again: nobody's login waits for that.
Refuses to know what is probed.
"""

import asyncio
from collections.abc import Awaitable, Callable

from service.stores.redis.errors import CallFailed


class Breaker:
    """Closed at first; open from `trip` until `probe` succeeds, tried every `pause` seconds."""

    def __init__(self, probe: Callable[[], Awaitable[object]], pause: float) -> None:
        self._probe = probe
        self._pause = pause
        self._healing: asyncio.Task[None] | None = None
        self.open = False
        """Whether calls are refused now."""

    def check(self) -> None:
        """Raises CallFailed while open."""
        if self.open:
            raise CallFailed("breaker")

    def trip(self) -> None:
        """Refuse calls until the server answers again."""
        if not self.open:
            self.open = True
            self._healing = asyncio.get_running_loop().create_task(self._heal())

    async def aclose(self) -> None:
        """Stop probing."""
        if self._healing is not None:
            self._healing.cancel()
            await asyncio.gather(self._healing, return_exceptions=True)

    async def _heal(self) -> None:
        while True:
            await asyncio.sleep(self._pause)
            try:
                await self._probe()
            except Exception:  # noqa: S112 - whatever keeps the probe from an answer, it is tried again
                continue
            self._healing, self.open = None, False
            return
