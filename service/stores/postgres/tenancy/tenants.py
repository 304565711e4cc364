"""Tenants by name.

Owns the statements on the table `tenants`. Refuses to delete a row: the sweep does, once nothing needs it.
"""

import json
from collections.abc import Sequence
from uuid import uuid4

from service.mail.tenancy import Act, Page
from service.model.account import Status
from service.model.refusal import Reason, Refusal
from service.model.tenancy import Overrides, PolicyChange, TenantView, Usage, counted
from service.stores.postgres.database import Database, Row
from service.stores.postgres.policies import overrides
from service.stores.postgres.tenancy.removal import lock_maildrops, remove_maildrops
from service.stores.postgres.tenancy.rows import lock_tenant, record

CREATE = """
INSERT INTO tenants (tenant_id, name, policy) VALUES ($1, $2, $3)
ON CONFLICT (name) WHERE status <> 'removed' DO NOTHING RETURNING tenant_id, name, status, created, policy
"""
VIEW = "SELECT tenant_id, name, status, created, policy FROM tenants WHERE status <> 'removed' AND "
FIND = VIEW + "name = $1"
PAGE = VIEW + "name > $1 ORDER BY name LIMIT $2"

USAGE = """
SELECT (SELECT count(*) FROM domains d WHERE d.tenant_id = t.tenant_id AND d.status <> 'removed'),
       m.maildrops, m.messages, m.octets
FROM tenants t
CROSS JOIN LATERAL (
    SELECT count(*) AS maildrops, coalesce(sum(messages), 0)::bigint AS messages,
           coalesce(sum(octets), 0)::bigint AS octets
    FROM maildrops WHERE tenant_id = t.tenant_id AND status <> 'removed'
) m
WHERE t.name = $1 AND t.status <> 'removed'
"""

SET_STATUS = "UPDATE tenants SET status = $2 WHERE tenant_id = $1"
SET_POLICY = "UPDATE tenants SET policy = (policy || $2) - $3::text[] WHERE tenant_id = $1"
LOCK_DOMAINS = "SELECT name FROM domains WHERE tenant_id = $1 AND status <> 'removed' ORDER BY name FOR UPDATE"
REMOVE_DOMAINS = "UPDATE domains SET status = 'removed' WHERE tenant_id = $1 AND status <> 'removed'"
REMOVE_ISSUERS = "DELETE FROM issuers WHERE tenant_id = $1"
REMOVE = "UPDATE tenants SET status = 'removed' WHERE tenant_id = $1"


class PostgresTenants:
    """`mail.tenancy.Tenants` on Postgres."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(self, act: Act, policy: Overrides) -> TenantView:
        """Create the tenant. Raises Refusal(EXISTS)."""
        async with self._database.transaction() as connection:
            row = await connection.fetchrow(CREATE, uuid4(), act.tenant, json.dumps(dict(policy)))
            if row is None:
                raise Refusal(Reason.EXISTS, f"there is a tenant {act.tenant} already")
            view = _view(row)
            await record(connection, view.tenant_id, act, ("tenant.create", act.tenant), {"policy": dict(policy)})
        return view

    async def find(self, name: str) -> TenantView | None:
        """The tenant, or None."""
        rows = await self._database.read(FIND, name)
        return _view(rows[0]) if rows else None

    async def page(self, page: Page) -> Sequence[TenantView]:
        """Tenants by ascending name."""
        return [_view(row) for row in await self._database.read(PAGE, page.after, page.limit)]

    async def usage(self, name: str) -> Usage:
        """What the tenant holds. Raises Refusal(NOT_FOUND)."""
        rows = await self._database.read(USAGE, name)
        if not rows:
            raise Refusal(Reason.NOT_FOUND, f"there is no tenant {name}")
        return Usage(*rows[0])

    async def set_status(self, act: Act, status: Status) -> None:
        """Suspend or resume. Raises Refusal(NOT_FOUND)."""
        async with self._database.transaction() as connection:
            tenant_id = await lock_tenant(connection, act.tenant, "NO KEY UPDATE")
            await connection.execute(SET_STATUS, tenant_id, status.value)
            await record(connection, tenant_id, act, ("tenant.status", act.tenant), {"status": status.value})

    async def set_policy(self, act: Act, change: PolicyChange) -> None:
        """Change what the tenant sets. Raises Refusal(NOT_FOUND)."""
        async with self._database.transaction() as connection:
            tenant_id = await lock_tenant(connection, act.tenant, "NO KEY UPDATE")
            await connection.execute(SET_POLICY, tenant_id, json.dumps(dict(change.values)), sorted(change.inherited))
            await record(connection, tenant_id, act, ("tenant.policy", act.tenant), change.details)

    async def remove(self, act: Act, cascade: bool) -> None:
        """Remove the tenant. Raises Refusal: NOT_FOUND, EXISTS."""
        async with self._database.transaction() as connection:
            # Not stronger: whoever holds a domain and makes a maildrop there needs the tenant's key to stay, and would
            # wait in a ring with this, which takes the domains next.
            tenant_id = await lock_tenant(connection, act.tenant, "NO KEY UPDATE")
            await connection.execute(LOCK_DOMAINS, tenant_id)
            maildrops = await lock_maildrops(connection, tenant_id, None)
            if maildrops and not cascade:
                raise Refusal(Reason.EXISTS, f"tenant {act.tenant} still has {counted(len(maildrops), 'maildrop')}")
            messages = await remove_maildrops(connection, tenant_id, maildrops)
            await connection.execute(REMOVE_DOMAINS, tenant_id)
            await connection.execute(REMOVE_ISSUERS, tenant_id)
            await connection.execute(REMOVE, tenant_id)
            detail = {"maildrops": len(maildrops), "messages": messages}
            await record(connection, tenant_id, act, ("tenant.remove", act.tenant), detail)


def _view(row: Row) -> TenantView:
    return TenantView(row["tenant_id"], row["name"], Status(row["status"]), row["created"], overrides(row["policy"]))
