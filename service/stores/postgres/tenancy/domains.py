"""Domains, each of one tenant, and their catch-alls.

Owns the statements on the table `domains`; a catch-all is the alias with the empty local part.
Refuses to delete a row: the sweep does, once nothing needs it.
"""

from collections.abc import Sequence
from uuid import UUID

from service.mail.tenancy import Act, Page
from service.model.account import Status
from service.model.address import Address
from service.model.refusal import Reason, Refusal
from service.model.tenancy import DomainView, counted
from service.stores.postgres.database import Database, Row
from service.stores.postgres.tenancy.removal import lock_maildrops, remove_maildrops
from service.stores.postgres.tenancy.rows import Connection, lock_domain, lock_maildrop, lock_tenant, record, taken

# A removed domain of the tenant's own may still be there for the sweep: it comes back.
CREATE = """
INSERT INTO domains (tenant_id, name) VALUES ($1, $2)
ON CONFLICT (tenant_id, name) DO UPDATE SET status = 'active', created = now() WHERE domains.status = 'removed'
RETURNING created
"""

VIEW = """
SELECT d.name, t.name AS tenant, d.status, d.created, m.local || '@' || m.domain AS catch_all
FROM domains d
JOIN tenants t USING (tenant_id)
LEFT JOIN aliases a ON a.tenant_id = d.tenant_id AND a.domain = d.name AND a.local = ''
LEFT JOIN maildrops m ON m.tenant_id = a.tenant_id AND m.maildrop_id = a.maildrop_id
WHERE d.status <> 'removed' AND t.status <> 'removed'
"""
FIND = VIEW + " AND d.name = $1"
PAGE = VIEW + " AND t.name = $1 AND d.name > $2 ORDER BY d.name LIMIT $3"

SET_STATUS = "UPDATE domains SET status = $3 WHERE tenant_id = $1 AND name = $2"
SET_CATCH_ALL = """
INSERT INTO aliases (tenant_id, domain, local, maildrop_id) VALUES ($1, $2, '', $3)
ON CONFLICT (tenant_id, domain, local) DO UPDATE SET maildrop_id = excluded.maildrop_id
"""
NO_CATCH_ALL = "DELETE FROM aliases WHERE tenant_id = $1 AND domain = $2 AND local = ''"
ALIASES = "SELECT count(*) FROM aliases WHERE tenant_id = $1 AND domain = $2 AND local <> ''"
REMOVE_ALIASES = "DELETE FROM aliases WHERE tenant_id = $1 AND domain = $2"


class PostgresDomains:
    """`mail.tenancy.Domains` on Postgres."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(self, act: Act, name: str) -> DomainView:
        """Give the domain to the tenant. Raises Refusal: NOT_FOUND, EXISTS."""
        words = f"the domain {name} belongs to a tenant already"
        async with self._database.transaction() as connection:
            tenant_id = await lock_tenant(connection, act.tenant)
            with taken(words):
                created = await connection.fetchval(CREATE, tenant_id, name)
            if created is None:
                raise Refusal(Reason.EXISTS, words)
            await record(connection, tenant_id, act, ("domain.create", name))
        return DomainView(name, act.tenant, Status.ACTIVE, created)

    async def find(self, name: str) -> DomainView | None:
        """The domain, whoever owns it, or None."""
        rows = await self._database.read(FIND, name)
        return _view(rows[0]) if rows else None

    async def page(self, tenant: str, page: Page) -> Sequence[DomainView]:
        """The tenant's domains by ascending name."""
        return [_view(row) for row in await self._database.read(PAGE, tenant, page.after, page.limit)]

    async def set_status(self, act: Act, name: str, status: Status) -> None:
        """Suspend or resume. Raises Refusal(NOT_FOUND)."""
        async with self._database.transaction() as connection:
            tenant_id = await lock_domain(connection, act, name)
            await connection.execute(SET_STATUS, tenant_id, name, status.value)
            await record(connection, tenant_id, act, ("domain.status", name), {"status": status.value})

    async def set_catch_all(self, act: Act, name: str, address: Address | None) -> None:
        """Where mail for unknown local parts goes. Raises Refusal(NOT_FOUND)."""
        async with self._database.transaction() as connection:
            tenant_id = await lock_domain(connection, act, name)
            if address is None:
                await connection.execute(NO_CATCH_ALL, tenant_id, name)
            else:
                key = await lock_maildrop(connection, act, address)
                await connection.execute(SET_CATCH_ALL, tenant_id, name, key.maildrop_id)
            detail = {"address": address and str(address)}
            await record(connection, tenant_id, act, ("domain.catch_all", name), detail)

    async def remove(self, act: Act, name: str, cascade: bool) -> None:
        """Remove the domain. Raises Refusal: NOT_FOUND, EXISTS."""
        async with self._database.transaction() as connection:
            tenant_id = await lock_domain(connection, act, name)
            maildrops = await lock_maildrops(connection, tenant_id, name)
            if not cascade:
                await _refuse_if_used(connection, tenant_id, name, len(maildrops))
            messages = await remove_maildrops(connection, tenant_id, maildrops)
            await connection.execute(REMOVE_ALIASES, tenant_id, name)
            await connection.execute(SET_STATUS, tenant_id, name, "removed")
            detail = {"maildrops": len(maildrops), "messages": messages}
            await record(connection, tenant_id, act, ("domain.remove", name), detail)


async def _refuse_if_used(connection: Connection, tenant_id: UUID, name: str, maildrops: int) -> None:
    aliases = await connection.fetchval(ALIASES, tenant_id, name)
    if maildrops or aliases:
        uses = f"{counted(maildrops, 'maildrop')} and {counted(aliases, 'alias')}"
        raise Refusal(Reason.EXISTS, f"domain {name} still has {uses}")


def _view(row: Row) -> DomainView:
    return DomainView(row["name"], row["tenant"], Status(row["status"]), row["created"], row["catch_all"])
