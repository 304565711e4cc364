"""The audit, as staff read it.

Owns the reading of the table `audit`. Refuses to change it: its rows are written by the acts themselves, or by
`note` for those that change no row here.
"""

import json
from collections.abc import Mapping, Sequence
from uuid import UUID

from service.mail.tenancy import Act, AuditQuery
from service.model.refusal import Reason, Refusal
from service.model.tenancy import AuditEntry
from service.model.token import SERVICE
from service.stores.postgres.database import Database
from service.stores.postgres.tenancy.rows import record

# A removed tenant's history can be read as long as its row is there and no other tenant took its name.
TENANT = "SELECT tenant_id FROM tenants WHERE name = $1 ORDER BY status = 'removed', created DESC LIMIT 1"
_PAGE = """
SELECT moment, actor, action, target, detail, audit_id FROM audit
WHERE tenant_id = $1 AND ($2::bigint IS NULL OR audit_id < $2) AND ($4::text IS NULL OR actor = $4)
  AND ($5::text IS NULL OR action = $5) AND ({target})
  AND ($7::timestamptz IS NULL OR moment >= $7) AND ($8::timestamptz IS NULL OR moment < $8)
ORDER BY audit_id DESC LIMIT $3
"""
# Statements of their own, because plans are made without their values: the one about a target is read by its index.
EVERY = _PAGE.format(target="$6::text IS NULL")
OF_TARGET = _PAGE.format(target="target = $6")


class PostgresAudit:
    """`mail.tenancy.Audit` on Postgres."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def newest(self, tenant: str, limit: int) -> Sequence[AuditEntry]:
        """The tenant's entries, newest first. Raises Refusal(NOT_FOUND)."""
        return await self.page(tenant, AuditQuery(limit=limit))

    async def note(self, act: Act, what: tuple[str, str], details: Mapping[str, object] | None = None) -> None:
        """Keep an act that changes no row. Raises Refusal(NOT_FOUND)."""
        async with self._database.transaction() as connection:
            tenant_id = await self._tenant_id(act.tenant) if act.tenant else SERVICE
            await record(connection, tenant_id, act, what, details)

    async def page(self, tenant: str | None, query: AuditQuery) -> Sequence[AuditEntry]:
        """The matching entries, newest first. Raises Refusal(NOT_FOUND)."""
        tenant_id = SERVICE if tenant is None else await self._tenant_id(tenant)
        q = query
        matching = (q.actor, q.action, q.subject, q.since, q.until)
        page = EVERY if q.subject is None else OF_TARGET
        rows = await self._database.read(page, tenant_id, q.before, q.limit, *matching)
        return [AuditEntry(row[0], row[1], row[2], row[3], json.loads(row[4]), row[5]) for row in rows]

    async def _tenant_id(self, tenant: str) -> UUID:
        found = await self._database.read(TENANT, tenant)
        if not found:
            raise Refusal(Reason.NOT_FOUND, f"there is no tenant {tenant}")
        return UUID(bytes=found[0][0].bytes)
