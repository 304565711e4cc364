"""A listing that comes part by part, and what puts it together without keeping the event loop for long.

Owns the columns while they grow. Refuses to know where the parts come from, and in which order.
RFC 1939 §4 (numbers), §7 (UIDL).
"""

import asyncio
from array import array
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from weakref import WeakKeyDictionary

from service.model.imported import Imported
from service.model.listing import PIECE, Listing

WITHOUT_THE_LOCK = 1 << 20
"""Octets from which on CPython joins without its lock: so it is done in a thread, while the event loop goes on."""

_locks: "WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock]" = WeakKeyDictionary()


def alone(messages: int) -> AbstractAsyncContextManager[object]:
    """Within it one long listing at a time is put together or turned round.

    Its second copy is more than what is paid for (G15), so there may be one in a process and no more.
    """
    if messages <= PIECE:
        return nullcontext()
    return _locks.setdefault(asyncio.get_running_loop(), asyncio.Lock())


class Parts:
    """The parts that came so far, in order."""

    def __init__(self) -> None:
        self._sequences = array("q")
        self._octets = array("q")
        self._unique_ids: list[bytes] = []

    @property
    def messages(self) -> int:
        """How many messages they have."""
        return len(self._sequences)

    def add(self, sequences: "array[int]", octets: "array[int]", unique_ids: bytes) -> None:
        """Take the next part."""
        self._sequences.extend(sequences)
        self._octets.extend(octets)
        self._unique_ids.append(unique_ids)

    async def listing(self, imported: Imported) -> Listing:
        """All of them together."""
        return Listing(self._sequences, self._octets, await joined(self._unique_ids), imported)


async def joined(parts: Sequence[bytes]) -> bytes:
    """The parts as one text: 16 MB, of a million unique-ids, would keep the loop for some 10 ms."""
    if sum(map(len, parts)) < WITHOUT_THE_LOCK:
        return b"".join(parts)
    return await asyncio.to_thread(b"".join, parts)
