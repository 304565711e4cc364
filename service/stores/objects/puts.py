"""Short files that are put while others are on their way, together in one go of a thread.

Owns who goes with whom: whoever comes when a thread is free goes at once, whoever comes later waits for it with all the
others; a thread that wakes up for each costs as much as writing it. Refuses to know how files are put.
"""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial

SHORT = 64 * 1024
"""Octets up to which a file goes together with others: a longer one would keep them waiting."""
MOST = 32
"""Files in one go."""
GOES = 2
"""Threads that put at the same time."""
File = tuple[str, bytes]
PutAll = Callable[[Sequence[File]], list[OSError | None]]


@dataclass(frozen=True, slots=True, eq=False)
class _Put:
    file: File
    done: "asyncio.Future[None]"


class Puts:
    """Has `put_all` called by threads, for several files at a time."""

    def __init__(self, put_all: PutAll, threads: Executor) -> None:
        self._put_all = put_all
        self._threads = threads
        self._waiting: list[_Put] = []
        self._free = GOES

    async def put(self, key: str, octets: bytes) -> None:
        """Return once the file is durable. Raises OSError."""
        put = _Put((key, octets), asyncio.get_running_loop().create_future())
        self._waiting.append(put)
        self._go()
        try:
            await put.done
        finally:
            # Who gave up leaves nothing in memory, however long the disk hangs.
            if put in self._waiting:
                self._waiting.remove(put)

    def _go(self) -> None:
        while self._waiting and self._free:
            puts, self._waiting = self._waiting[:MOST], self._waiting[MOST:]
            # Nobody waits any more for those that were given up meanwhile: they are not put.
            going = [put for put in puts if not put.done.done()]
            if going:
                self._free -= 1
                files = [put.file for put in going]
                gone = asyncio.get_running_loop().run_in_executor(self._threads, self._put_all, files)
                gone.add_done_callback(partial(self._went, going))

    def _went(self, going: Sequence[_Put], gone: "asyncio.Future[list[OSError | None]]") -> None:
        self._free += 1
        self._go()
        defect = None if gone.cancelled() else gone.exception()
        outcomes = [defect] * len(going) if gone.cancelled() or defect else gone.result()
        for put, outcome in zip(going, outcomes, strict=True):
            if put.done.done():
                continue
            if gone.cancelled():
                put.done.cancel()
            elif outcome is None:
                put.done.set_result(None)
            else:
                put.done.set_exception(outcome)
