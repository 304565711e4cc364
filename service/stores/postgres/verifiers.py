"""Verifiers renewed by the front ends, which may write nothing else of a credential.

Owns the calls of the functions that may. Refuses to read a verifier.
"""

from uuid import UUID

from service.model.account import MaildropKey
from service.model.scram import ScramKeys
from service.stores.postgres.database import Database

REPLACE = "SELECT replace_verifier($1, $2, $3, $4, $5)"
ADD_SCRAM = "SELECT add_scram_keys($1, $2, $3, $4, $5)"


class PostgresVerifiers:
    """`ports.Verifiers` on Postgres."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def replace(self, key: MaildropKey, credential_id: UUID, old: str, new: str) -> bool:
        """Put `new` in the place of exactly `old`; False if another stands there. Raises Refusal: INVALID too."""
        rows = await self._database.write(REPLACE, key.tenant_id, key.maildrop_id, credential_id, old, new)
        return bool(rows[0][0])

    async def add_scram(self, key: MaildropKey, credential_id: UUID, verifier: str, keys: ScramKeys) -> bool:
        """Put `keys` beside exactly `verifier`, where there are none; False if there are others."""
        names = (key.tenant_id, key.maildrop_id, credential_id)
        rows = await self._database.write(ADD_SCRAM, *names, verifier, keys.verifier)
        return bool(rows[0][0])
