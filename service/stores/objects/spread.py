"""Several buckets as one store of blobs, for object stores that bound what one bucket holds or answers.

Owns which bucket a blob goes to: by its tenant (the first word of its key), rendezvous-hashed, so that a bucket that is
added takes its share of the tenants and no other moves. What was written before stays where it is, and is found there
by asking the others too. A bucket into which not every process looks yet is only read. Refuses to move anything.
"""

import asyncio
import hashlib
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing
from types import MappingProxyType
from typing import cast

from service.mail.patience import Patience
from service.mail.ports import StoredBlob
from service.model.refusal import Reason, Refusal
from service.stores.objects.blobs import ObjectBlobStore


class SpreadBlobStore:
    """Implements `mail.ports.BlobStore` over several stores by name; the names must never change."""

    def __init__(
        self, stores: Mapping[str, ObjectBlobStore], only_read: Mapping[str, ObjectBlobStore] = MappingProxyType({})
    ) -> None:
        self._stores = {**stores, **only_read}
        self._only_read = only_read.keys()

    def order(self, key: str) -> list[str]:
        """The names of the stores in which a blob is looked for; it is put into the first."""
        tenant = key.partition("/")[0]

        def place(name: str) -> tuple[bool, bytes]:
            return name in self._only_read, hashlib.sha256(f"{name}\n{tenant}".encode()).digest()

        return sorted(self._stores, key=place)

    async def put(self, key: str, chunks: AsyncIterator[bytes]) -> None:
        """As the port says, into the store of the key's tenant."""
        await self._stores[self.order(key)[0]].put(key, chunks)

    async def read(self, key: str, start: int, end: int, patience: Patience | None = None) -> bytes:
        """As the port says; BROKEN only if each store says so, UNAVAILABLE if one that may have it doesn't answer."""
        for name in self.order(key):
            try:
                return await self._stores[name].read(key, start, end, patience)
            except Refusal as refusal:
                missing = _missing(refusal)
        raise missing

    async def stream(
        self, key: str, start: int, end: int, patience: Patience | None = None
    ) -> AsyncGenerator[bytes, None]:
        """As the port says; the stores are asked in turn until one has the first piece."""
        for name in self.order(key):
            begun = False
            try:
                async with aclosing(self._stores[name].stream(key, start, end, patience)) as pieces:
                    async for piece in pieces:
                        begun = True
                        yield piece
            except Refusal as refusal:
                if begun:
                    raise
                missing = _missing(refusal)
            else:
                return
        raise missing

    def begin(self, key: str, octets: int) -> "asyncio.Future[bytes] | None":
        """Nothing: a blob may be in another store than the first, which only a read finds out."""
        return None

    def at_hand(self, key: str, octets: int) -> bytes | None:
        """The octets, from the first store that has them at hand."""
        found = (self._stores[name].at_hand(key, octets) for name in self.order(key))
        return next((each for each in found if each is not None), None)

    async def delete(self, keys: Sequence[str]) -> None:
        """As the port says, wherever they are."""
        for store in self._stores.values():
            await store.delete(keys)

    async def scan(self, prefix: str, after: str = "") -> AsyncIterator[StoredBlob]:
        """As the port says: all stores' blobs, merged; a key that two of them have comes once."""
        async with AsyncExitStack() as stack:
            heads: list[tuple[StoredBlob, AsyncIterator[StoredBlob]]] = []
            for store in self._stores.values():
                # Every store's scan is a generator; one that is left early must be closed at once.
                scan = cast("AsyncGenerator[StoredBlob, None]", store.scan(prefix, after))
                await stack.enter_async_context(aclosing(scan))
                await _advance(heads, scan)
            last = after
            while heads:
                blob, scan_of_it = heads.pop(min(range(len(heads)), key=lambda n: heads[n][0].key))
                await _advance(heads, scan_of_it)
                if blob.key != last:
                    last = blob.key
                    yield blob

    async def ping(self) -> None:
        """Write, read and delete a small blob in each. Raises Refusal: UNAVAILABLE, BROKEN."""
        for store in self._stores.values():
            await store.ping()


def _missing(refusal: Refusal) -> Refusal:
    """The refusal, if it only says that the blob isn't there; another one is raised at once."""
    if refusal.reason is not Reason.BROKEN:
        raise refusal
    return refusal


async def _advance(heads: list[tuple[StoredBlob, AsyncIterator[StoredBlob]]], scan: AsyncIterator[StoredBlob]) -> None:
    """Put the next blob of `scan` among the heads, if there is one."""
    async for blob in scan:
        heads.append((blob, scan))
        return
