"""How many tasks the event loop has: each session that waits for something has one, an idle one has none.

Owns the gauge. A number that stays up when the sessions are gone is a leak, and shows sooner than memory does (G15). It
is counted when it is asked for; what other processes put together, as Prometheus' multiprocess mode does, is as old as
the last count.
"""

import asyncio

from prometheus_client import Gauge

_tasks = Gauge("poplar_tasks", "Tasks of the event loop that have not ended", multiprocess_mode="livesum")


async def count_tasks() -> None:
    """Count those of the running event loop, this one included, now and whenever this process is asked."""
    loop = asyncio.get_running_loop()
    _tasks.set(len(asyncio.all_tasks()))
    _tasks.set_function(lambda: len(asyncio.all_tasks(loop)))
