"""Memory that is free in the process, given back to the machine once a peak is over.

Owns when: glibc keeps what large responses took, in pieces between what is still used, and a pod would stay as large as
its worst minute. Nothing is done while a process is little larger than when it began to serve. Refuses to know what
the memory was for. Does nothing where the C library isn't glibc.
"""

import asyncio
import ctypes
import os
from collections.abc import Callable
from functools import cache
from pathlib import Path

TRIM_EVERY = 30.0
WORTH_IT = 32 * 1024 * 1024
"""Octets above the beginning from which on it is worth a few milliseconds."""


class Trimming:
    """Made when a process begins to serve; `trim` is to be called now and then."""

    def __init__(self) -> None:
        self._began_with = resident()

    async def trim(self) -> None:
        """Give back what is free, on a thread of its own: each part of the heap is locked for a moment."""
        give_back = _malloc_trim()
        if give_back is not None and resident() > self._began_with + WORTH_IT:
            await asyncio.to_thread(give_back, 0)


def resident() -> int:
    """Octets of memory that this process has; 0 where that isn't known."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


@cache
def _malloc_trim() -> Callable[[int], object] | None:
    try:
        found: Callable[[int], object] = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):
        return None
    return found
