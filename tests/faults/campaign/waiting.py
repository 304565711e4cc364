"""Waits on this event loop until something is so."""

import asyncio
from collections.abc import Awaitable, Callable

PATIENCE = 90.0
EVERY = 0.05


async def until(found: Callable[[], object], what: str, patience: float = PATIENCE) -> None:
    """Return once `found()` is true. Raises TimeoutError, which says what was waited for, after `patience` seconds."""
    clock = asyncio.get_running_loop().time
    end = clock() + patience
    while not found():
        if clock() > end:
            raise TimeoutError(f"waited in vain: {what}")
        await asyncio.sleep(EVERY)


async def until_told(ask: Callable[[], Awaitable[object]], pause: float = EVERY) -> None:
    """Return once what `ask` brings is true; whoever waits sets a deadline."""
    while True:
        if await ask():
            return
        await asyncio.sleep(pause)
