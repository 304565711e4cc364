"""The in-memory twin of the directory and the index together.

Owns the same answer as `stores.postgres.reopening`. Refuses to await anything, so that it is one transaction.
RFC 1939 §4 (the exclusive lock).
"""

from service.model.account import Account
from service.model.listing import DropListing
from service.stores.memory.directory import MemoryDirectory
from service.stores.memory.index import MemoryMessageIndex
from service.stores.memory.state import MemoryState


class MemoryReopening:
    """Implements `mail.again.Reopening`."""

    def __init__(self, state: MemoryState) -> None:
        self._directory = MemoryDirectory(state)
        self._index = MemoryMessageIndex(state)

    async def reopen(self, account: Account, fence: bytes) -> DropListing | None:
        """As the port says."""
        found = await self._directory.find(account.address)
        if found is None or not found.active or found.seen != account.seen:
            return None
        return await self._index.open(found.key, fence)
