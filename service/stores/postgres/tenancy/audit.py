"""The audit, as staff read it.

Owns the reading of the table `audit`. Refuses to change it: its rows are written by the acts themselves.
"""

import json
from collections.abc import Sequence

from service.model.refusal import Reason, Refusal
from service.model.tenancy import AuditEntry
from service.stores.postgres.database import Database

# A removed tenant's history can be read as long as its row is there and no other tenant took its name.
TENANT = "SELECT tenant_id FROM tenants WHERE name = $1 ORDER BY status = 'removed', created DESC LIMIT 1"
NEWEST = """
SELECT moment, actor, action, target, detail FROM audit
WHERE tenant_id = $1 ORDER BY audit_id DESC LIMIT $2
"""


class PostgresAudit:
    """`mail.tenancy.Audit` on Postgres."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def newest(self, tenant: str, limit: int) -> Sequence[AuditEntry]:
        """The tenant's entries, newest first. Raises Refusal(NOT_FOUND)."""
        found = await self._database.read(TENANT, tenant)
        if not found:
            raise Refusal(Reason.NOT_FOUND, f"there is no tenant {tenant}")
        rows = await self._database.read(NEWEST, found[0][0], limit)
        return [AuditEntry(row[0], row[1], row[2], row[3], json.loads(row[4])) for row in rows]
