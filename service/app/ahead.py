"""Blobs that are read before anybody asks for them, so named in the trace of the retrieval that begins to.

Owns the one step around a read: without it a retrieval would seem to have read its successors too. Refuses to change
what a read does.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from dataclasses import dataclass

from service.mail.patience import Patience
from service.mail.ports import BlobStore, StoredBlob
from service.telemetry import spans


@dataclass(frozen=True, slots=True)
class AheadBlobs:
    """Implements `mail.ports.BlobStore` over another one."""

    blobs: BlobStore

    async def read(self, key: str, start: int, end: int, patience: Patience | None = None) -> bytes:
        """As the port says."""
        with spans.step("read ahead"):
            return await self.blobs.read(key, start, end, patience)

    def stream(self, key: str, start: int, end: int, patience: Patience | None = None) -> AsyncGenerator[bytes, None]:
        """As the port says."""
        return self.blobs.stream(key, start, end, patience)

    async def put(self, key: str, chunks: AsyncIterator[bytes]) -> None:
        """As the port says."""
        await self.blobs.put(key, chunks)

    async def delete(self, keys: Sequence[str]) -> None:
        """As the port says."""
        await self.blobs.delete(keys)

    def scan(self, prefix: str, after: str = "") -> AsyncIterator[StoredBlob]:
        """As the port says."""
        return self.blobs.scan(prefix, after)
