"""Aliases: other addresses of a tenant's maildrops.

Owns the statements on the table `aliases`, save the catch-all's row, whose local part is empty.
Refuses an alias that would stand before a maildrop of the same name.
"""

from collections.abc import Sequence

from service.mail.tenancy import Act, Page
from service.model.address import Address
from service.model.refusal import Reason, Refusal
from service.model.tenancy import AliasView
from service.stores.postgres.database import Database
from service.stores.postgres.tenancy.rows import MAILDROP, cursor, lock_domain, lock_maildrop, record, taken

CREATE = "INSERT INTO aliases (tenant_id, domain, local, maildrop_id) VALUES ($1, $2, $3, $4)"

PAGE = """
SELECT a.local || '@' || a.domain, m.local || '@' || m.domain, t.name
FROM aliases a JOIN tenants t USING (tenant_id) JOIN maildrops m USING (tenant_id, maildrop_id)
WHERE t.name = $1 AND t.status <> 'removed' AND a.local <> '' AND (a.domain, a.local) > ($2, $3)
ORDER BY a.domain, a.local LIMIT $4
"""

FIND = """
SELECT a.local || '@' || a.domain, m.local || '@' || m.domain, t.name
FROM aliases a JOIN tenants t USING (tenant_id) JOIN maildrops m USING (tenant_id, maildrop_id)
WHERE t.name = $1 AND t.status <> 'removed' AND a.domain = $2 AND a.local = $3 AND a.local <> ''
"""

POINT = """
UPDATE aliases SET maildrop_id = $4 WHERE tenant_id = $1 AND domain = $2 AND local = $3 AND local <> ''
RETURNING domain
"""

REMOVE = "DELETE FROM aliases WHERE tenant_id = $1 AND domain = $2 AND local = $3 AND local <> '' RETURNING domain"


class PostgresAliases:
    """`mail.tenancy.Aliases` on Postgres."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(self, act: Act, alias: Address, target: Address) -> AliasView:
        """Name the maildrop `target` by another address. Raises Refusal: NOT_FOUND, EXISTS."""
        async with self._database.transaction() as connection:
            tenant_id = await lock_domain(connection, act, alias.domain)
            key = await lock_maildrop(connection, act, target)
            if await connection.fetchrow(MAILDROP, act.tenant, alias.domain, alias.local):
                raise Refusal(Reason.EXISTS, f"{alias} is a maildrop")
            with taken(f"there is an alias {alias} already"):
                await connection.execute(CREATE, tenant_id, alias.domain, alias.local, key.maildrop_id)
            await record(connection, tenant_id, act, ("alias.create", str(alias)), {"address": str(target)})
        return AliasView(str(alias), str(target), act.tenant)

    async def page(self, tenant: str, page: Page) -> Sequence[AliasView]:
        """The tenant's aliases by domain, then local part."""
        rows = await self._database.read(PAGE, tenant, *cursor(page.after), page.limit)
        return [AliasView(*row) for row in rows]

    async def find(self, tenant: str, alias: Address) -> AliasView | None:
        """The alias, or None."""
        rows = await self._database.read(FIND, tenant, alias.domain, alias.local)
        return AliasView(*rows[0]) if rows else None

    async def point(self, act: Act, alias: Address, target: Address) -> None:
        """Have it name another maildrop. Raises Refusal(NOT_FOUND)."""
        async with self._database.transaction() as connection:
            tenant_id = await lock_domain(connection, act, alias.domain)
            key = await lock_maildrop(connection, act, target)
            if await connection.fetchval(POINT, tenant_id, alias.domain, alias.local, key.maildrop_id) is None:
                raise Refusal(Reason.NOT_FOUND, f"there is no alias {alias}")
            await record(connection, tenant_id, act, ("alias.point", str(alias)), {"address": str(target)})

    async def remove(self, act: Act, alias: Address) -> None:
        """Raises Refusal(NOT_FOUND)."""
        async with self._database.transaction() as connection:
            tenant_id = await lock_domain(connection, act, alias.domain)
            if await connection.fetchval(REMOVE, tenant_id, alias.domain, alias.local) is None:
                raise Refusal(Reason.NOT_FOUND, f"there is no alias {alias}")
            await record(connection, tenant_id, act, ("alias.remove", str(alias)))
