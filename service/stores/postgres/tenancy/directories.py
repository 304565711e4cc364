"""Which outside directory a tenant's users are kept in.

Owns one column of the table `tenants`. Refuses to know directories.
"""

from service.mail.tenancy import Act
from service.model.refusal import Reason, Refusal
from service.stores.postgres.database import Database
from service.stores.postgres.tenancy.rows import lock_tenant, record

OF = "SELECT directory FROM tenants WHERE name = $1 AND status <> 'removed'"
CHOOSE = "UPDATE tenants SET directory = $2 WHERE tenant_id = $1"


class PostgresDirectoryChoices:
    """`mail.tenancy.DirectoryChoices` on Postgres."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def of(self, tenant: str) -> str | None:
        """What the tenant chose. Raises Refusal(NOT_FOUND)."""
        rows = await self._database.read(OF, tenant)
        if not rows:
            raise Refusal(Reason.NOT_FOUND, f"there is no tenant {tenant}")
        chosen: str | None = rows[0][0]
        return chosen

    async def choose(self, act: Act, directory: str | None) -> None:
        """Raises Refusal(NOT_FOUND)."""
        async with self._database.transaction() as connection:
            tenant_id = await lock_tenant(connection, act.tenant, "NO KEY UPDATE")
            await connection.execute(CHOOSE, tenant_id, directory)
            await record(connection, tenant_id, act, ("tenant.directory", act.tenant), {"directory": directory})
