"""The in-memory twin of the last uses.

Owns the same answers as `stores.postgres.uses`, over `MemoryState`. Refuses to touch any other column.
"""

from datetime import timedelta
from uuid import UUID

from service.model.account import MaildropKey
from service.stores.memory.state import MemoryState


class MemoryLastUses:
    """Implements `mail.uses.LastUses`."""

    def __init__(self, state: MemoryState) -> None:
        self._state = state

    async def note(self, key: MaildropKey, credential_id: UUID, every: timedelta) -> None:
        """Keep that the credential was used now, unless a use within `every` is kept already."""
        now = self._state.now()
        for row in self._state.credentials:
            if (row.key, row.credential_id) == (key, credential_id):
                row.last_used = now if row.last_used is None or row.last_used < now - every else row.last_used
