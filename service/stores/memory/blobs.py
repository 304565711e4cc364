"""Blobs in one process's memory.

Owns the twin of `stores.objects`. Refuses to be durable.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from datetime import UTC, datetime

from service.mail.patience import Patience
from service.mail.ports import StoredBlob
from service.model.refusal import Reason, Refusal

PIECE = 1 << 20


class MemoryBlobStore:
    """Implements `mail.ports.BlobStore`."""

    def __init__(self, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._now = now
        self._blobs: dict[str, tuple[bytes, datetime]] = {}

    async def put(self, key: str, chunks: AsyncIterator[bytes]) -> None:
        """Store the concatenation of `chunks`."""
        self._blobs[key] = (b"".join([chunk async for chunk in chunks]), self._now())

    async def read(self, key: str, start: int, end: int, patience: Patience | None = None) -> bytes:
        """The octets from `start` up to, not including, `end`. Raises Refusal(BROKEN) if there is no such blob."""
        if key not in self._blobs:
            raise Refusal(Reason.BROKEN, f"no such blob: {key}")
        return self._blobs[key][0][start : max(start, end)]

    async def stream(
        self, key: str, start: int, end: int, patience: Patience | None = None
    ) -> AsyncGenerator[bytes, None]:
        """The same octets in pieces of at most 1 MiB."""
        for begin in range(start, end, PIECE):
            piece = await self.read(key, begin, min(begin + PIECE, end), patience)
            if not piece:
                return
            yield piece

    def begin(self, key: str, octets: int) -> "asyncio.Future[bytes] | None":
        """What `read` gives, at once."""
        begun = asyncio.get_running_loop().create_future()
        if key in self._blobs:
            begun.set_result(self._blobs[key][0][:octets])
        else:
            begun.set_exception(Refusal(Reason.BROKEN, f"no such blob: {key}"))
            begun.exception()
        return begun

    def at_hand(self, key: str, octets: int) -> bytes | None:
        """The first `octets` of a blob that has so many; else nothing."""
        whole, _ = self._blobs.get(key, (b"", None))
        return whole[:octets] if 0 < octets <= len(whole) else None

    async def delete(self, keys: Sequence[str]) -> None:
        """Delete these blobs; one that is gone already is no error."""
        for key in keys:
            self._blobs.pop(key, None)

    async def scan(self, prefix: str, after: str = "") -> AsyncIterator[StoredBlob]:
        """The blobs whose key starts with `prefix` and sorts after `after`, in key order."""
        for key in sorted(self._blobs):
            if key.startswith(prefix) and key > after and key in self._blobs:
                octets, modified = self._blobs[key]
                yield StoredBlob(key, len(octets), modified)

    def truncate(self, key: str, octets: int) -> None:
        """Keep only the first `octets` of a blob, as a failing disk does."""
        whole, modified = self._blobs[key]
        self._blobs[key] = (whole[:octets], modified)
