"""How many tasks the event loop has: each session that waits for something has one, an idle one has none.

Owns the gauge and when it is set. A number that stays up when the sessions are gone is a leak, and shows sooner than
memory does (G15).
"""

import asyncio

from prometheus_client import Gauge

_tasks = Gauge("poplar_tasks", "Tasks of the event loop that have not ended", multiprocess_mode="livesum")


async def count_tasks() -> None:
    """Count them, this one included."""
    _tasks.set(len(asyncio.all_tasks()))
