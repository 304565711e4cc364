"""When credentials were last used: the one column that front ends may write, by a function that does it for them.

Owns the call. Refuses to read it back.
"""

from datetime import timedelta
from uuid import UUID

from service.model.account import MaildropKey
from service.stores.postgres.database import Database

USE = "SELECT use_credential($1, $2, $3, $4)"


class PostgresLastUses:
    """`mail.uses.LastUses` on Postgres."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def note(self, key: MaildropKey, credential_id: UUID, every: timedelta) -> None:
        """Keep that the credential was used now, unless a use within `every` is kept already."""
        await self._database.write(USE, key.tenant_id, key.maildrop_id, credential_id, every)
