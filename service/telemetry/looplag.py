"""Measures how late the event loop wakes up: what every client waits besides its own work.

Owns the measuring. Refuses to judge: the histogram and its alert do.
"""

import asyncio
import time
from collections.abc import Callable


async def watch_loop_lag(observe: Callable[[float], None], interval: float = 0.25) -> None:
    """Call `observe` with the seconds by which each sleep of `interval` seconds was late, until cancelled."""
    while True:
        begun = time.perf_counter()
        await asyncio.sleep(interval)
        observe(max(0.0, time.perf_counter() - begun - interval))
