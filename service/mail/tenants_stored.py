"""Whose mail the store of blobs holds, by the folders that `shipment.blob_key` makes: one for each tenant.

Owns the walk from folder to folder. Refuses to know what is in them, and who is a tenant: the index's database does.
"""

from collections.abc import AsyncGenerator, Sequence
from contextlib import AbstractAsyncContextManager, aclosing
from typing import cast
from uuid import UUID

from service.mail.ports import BlobStore, StoredBlob
from service.mail.shipment import tenant_of

AFTER_EVERY_KEY = "~"
"""Sorts after each word of a key, so that a search from a folder and this finds the next folder."""


async def tenants_stored(blobs: BlobStore, most: int | None = None) -> Sequence[UUID]:
    """The tenants that have a folder, by ascending id; the first `most` of them. Raises Refusal(UNAVAILABLE)."""
    found: list[UUID] = []
    folder = await _folder_after(blobs, "")
    while folder is not None and (most is None or len(found) < most):
        tenant = tenant_of(folder)
        if tenant is not None:
            found.append(tenant)
        folder = await _folder_after(blobs, f"{folder}/{AFTER_EVERY_KEY}")
    return found


def scanned(blobs: BlobStore, prefix: str, after: str) -> AbstractAsyncContextManager[AsyncGenerator[StoredBlob, None]]:
    """The store's scan, which may be left early: it is closed at once."""
    # Every store's scan is a generator.
    return aclosing(cast("AsyncGenerator[StoredBlob, None]", blobs.scan(prefix, after)))


async def _folder_after(blobs: BlobStore, key: str) -> str | None:
    async with scanned(blobs, "", key) as scan:
        async for blob in scan:
            return blob.key.partition("/")[0]
    return None
