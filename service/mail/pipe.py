"""A bounded way from one writer to one reader, both on the event loop.

Owns how much waits in between. The writer is never stopped in the middle: it looks at `full` and waits for
`room` before its next chunk, so at most the bound and one chunk are held (G15). Refuses to know what flows.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator


class BrokenOffError(Exception):
    """The writer gave up: what was read so far is not whole."""


class Pipe:
    """Octets from `write` to `chunks`, in order; holds `bound` octets and one chunk at most."""

    def __init__(self, bound: int) -> None:
        self._bound = bound
        self._chunks: deque[bytes] = deque()
        self._held = 0
        self._finished = False
        self._broken = False
        self._deaf = False
        self._more = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()

    @property
    def held(self) -> int:
        """Octets that wait for the reader."""
        return self._held

    @property
    def full(self) -> bool:
        """Whether the writer should wait."""
        return not self._room.is_set()

    @property
    def broken_off(self) -> bool:
        """Whether the writer gave up."""
        return self._broken

    def write(self, chunk: bytes) -> None:
        """Pass `chunk` on; it is dropped if the reader is gone."""
        if self._deaf or not chunk:
            return
        self._chunks.append(chunk)
        self._held += len(chunk)
        self._more.set()
        if self._held >= self._bound:
            self._room.clear()

    async def room(self) -> None:
        """Wait until there is room, or nobody reads any more."""
        await self._room.wait()

    def finish(self) -> None:
        """Everything was written."""
        self._finished = True
        self._more.set()

    def break_off(self) -> None:
        """Give up: the reader gets BrokenOffError in place of what is left."""
        self._broken = True
        self._drop()
        self._more.set()

    def close(self) -> None:
        """Nobody reads any more: hold nothing and stop nobody."""
        self._deaf = True
        self._drop()

    async def chunks(self) -> AsyncIterator[bytes]:
        """Everything written, until it was finished. Raises BrokenOffError."""
        while True:
            while not self._chunks:
                if self._broken:
                    raise BrokenOffError
                if self._finished:
                    return
                self._more.clear()
                await self._more.wait()
            chunk = self._chunks.popleft()
            self._held -= len(chunk)
            if self._held < self._bound:
                self._room.set()
            yield chunk

    def _drop(self) -> None:
        self._chunks.clear()
        self._held = 0
        self._room.set()
