"""The messages of a maildrop as clients are shown them, with where they are stored.

Owns the statement. Refuses to freeze a listing, and to touch the fence: no session ends for it.
"""

from collections.abc import Sequence

from service.model.address import Address
from service.model.tenancy import ListedMessage
from service.stores.postgres.database import Database
from service.stores.postgres.index import stored
from service.stores.postgres.tenancy.rows import MAILDROP, maildrop_key

PAGE = """
SELECT sequence, unique_id, imported_unique_id, octets, header_octets, dotted, sha256, blob_key, trace, beginnings,
       received, retrieved_at
FROM messages WHERE tenant_id = $1 AND maildrop_id = $2 AND sequence > $3 AND removed_at IS NULL
ORDER BY sequence LIMIT $4
"""


class PostgresListedMessages:
    """`mail.tenancy.ListedMessages` on Postgres."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def page(self, tenant: str, address: Address, after: int, limit: int) -> Sequence[ListedMessage]:
        """Those after this sequence number. Raises Refusal(NOT_FOUND)."""
        rows = await self._database.read(MAILDROP, tenant, address.domain, address.local)
        key = maildrop_key(rows[0] if rows else None, address)
        found = await self._database.read(PAGE, key.tenant_id, key.maildrop_id, after, limit)
        return [
            ListedMessage(
                stored(row),
                row["imported_unique_id"] or row["unique_id"].hex,
                row["received"],
                row["retrieved_at"] is not None,
            )
            for row in found
        ]
