"""A blob on its way into the store, in parts, with bounded memory.

Owns the hand-over between who produces octets and obstore, which pulls them. obstore aborts an upload only when
its source raises, and leaves the parts behind when it is cancelled: so it is never cancelled while its source can
still tell it to give up. Refuses to know where the octets come from.
"""

import asyncio
from collections.abc import AsyncIterator

from obstore.store import ObjectStore

PART = 5 << 20
"""The smallest part that S3 takes, in octets; a blob below it is one request."""


class _GivenUp(Exception):
    pass


class _Source:
    """What obstore reads: one piece at a time, so that nothing piles up before a slow store."""

    def __init__(self) -> None:
        self._next: asyncio.Queue[bytes | _GivenUp | None] = asyncio.Queue(1)

    async def hand_over(self, piece: bytes | None) -> None:
        await self._next.put(piece)

    def give_up(self) -> None:
        while not self._next.empty():
            self._next.get_nowait()
        self._next.put_nowait(_GivenUp())

    def __aiter__(self) -> "_Source":
        return self

    async def __anext__(self) -> bytes:
        piece = await self._next.get()
        if isinstance(piece, _GivenUp):
            raise piece
        if piece is None:
            raise StopAsyncIteration
        return piece


class Upload:
    """One upload in parts; each step ends within `deadline` seconds or raises."""

    def __init__(self, store: ObjectStore, key: str, deadline: float) -> None:
        self._deadline = deadline
        self._source = _Source()
        self._task = asyncio.ensure_future(
            store.put_async(key, self._source, use_multipart=True, chunk_size=PART, max_concurrency=1)
        )

    async def write(self, piece: bytes) -> None:
        """Hand over `piece` as soon as the store has taken what came before. Raises TimeoutError or obstore's error."""
        handing = asyncio.ensure_future(self._source.hand_over(piece))
        try:
            await asyncio.wait({handing, self._task}, timeout=self._deadline, return_when=asyncio.FIRST_COMPLETED)
        finally:
            handing.cancel()
        if self._task.done():
            self._task.result()
        if not handing.done():
            raise TimeoutError

    async def finish(self) -> None:
        """Make the blob visible, whole. Raises TimeoutError or obstore's error."""
        await self.write_end()
        done, _ = await asyncio.wait({self._task}, timeout=self._deadline)
        if not done:
            raise TimeoutError
        self._task.result()

    async def write_end(self) -> None:
        """Tell the store that all was handed over."""
        async with asyncio.timeout(self._deadline):
            await self._source.hand_over(None)

    async def abandon(self) -> None:
        """Leave nothing behind, as far as the store can still be reached within the deadline."""
        self._source.give_up()
        # Should this wait be cancelled too, the upload still ends by itself: it has its order.
        await asyncio.wait({self._task}, timeout=self._deadline)
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)


async def gather(chunks: AsyncIterator[bytes], octets: int) -> tuple[list[bytes], bool]:
    """At least `octets` from `chunks`, and whether there may be more; fewer only at their end."""
    gathered: list[bytes] = []
    so_far = 0
    async for chunk in chunks:
        gathered.append(chunk)
        so_far += len(chunk)
        if so_far >= octets:
            return gathered, True
    return gathered, False
