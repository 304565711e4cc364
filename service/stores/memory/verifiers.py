"""The in-memory twin of the verifiers.

Owns the same answers as `stores.postgres.verifiers`, over `MemoryState`. Refuses to touch any other column.
"""

from uuid import UUID

from service.model.account import MaildropKey
from service.model.scram import ScramKeys
from service.stores.memory.state import ACTIVE, CredentialRow, MemoryState


class MemoryVerifiers:
    """Implements `mail.ports.Verifiers`."""

    def __init__(self, state: MemoryState) -> None:
        self._state = state

    async def replace(self, key: MaildropKey, credential_id: UUID, old: str, new: str) -> bool:
        """Put `new` in the place of exactly `old`; False if another stands there."""
        for row in self._state.credentials:
            if (
                (row.key, row.credential_id) == (key, credential_id)
                and row.verifier in (old, new)
                and self._usable(row)
            ):
                row.verifier = new
                return True
        return False

    async def add_scram(self, key: MaildropKey, credential_id: UUID, verifier: str, keys: ScramKeys) -> bool:
        """Put `keys` beside exactly `verifier`, where there are none; False if there are others."""
        for row in self._state.credentials:
            named = (row.key, row.credential_id, row.verifier) == (key, credential_id, verifier)
            if named and row.scram in (None, keys.verifier) and self._usable(row):
                row.scram = keys.verifier
                return True
        return False

    def _usable(self, row: CredentialRow) -> bool:
        dated = row.expires is None or row.expires > self._state.now()
        return row.kind == "password" and row.status == ACTIVE and dated
