"""Domains with their tenants, and maildrops for users whom an outside directory knows.

Owns the two statements. A front end may create no maildrop: the database's own function does, for a tenant whose choice
of directory allows it, and audits it. Refuses to know directories.
"""

from uuid import UUID

from service.mail.outside.ports import Home
from service.model.address import Address
from service.stores.postgres.database import Database
from service.stores.postgres.policies import policy

OF = """
SELECT d.tenant_id, t.name AS tenant, t.status = 'active' AND d.status = 'active' AS active, t.directory, t.policy
FROM domains d JOIN tenants t ON t.tenant_id = d.tenant_id AND t.status <> 'removed'
WHERE d.name = $1 AND d.status <> 'removed'
"""
PROVIDE = "SELECT provide_maildrop($1, $2, $3, $4)"


class PostgresHomes:
    """`mail.outside.ports.Homes` on Postgres."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def of(self, domain: str) -> Home | None:
        """The home of this domain, or None."""
        rows = await self._database.read(OF, domain)
        if not rows:
            return None
        row = rows[0]
        return Home(row["tenant_id"], row["tenant"], row["active"], row["directory"], policy(row["policy"]))

    async def provide(self, home: Home, address: Address, directory: str) -> UUID | None:
        """The maildrop's id, or None where there may be none."""
        values = (home.tenant_id, address.domain, address.local, directory)
        made: UUID | None = (await self._database.read(PROVIDE, *values))[0][0]
        return made
