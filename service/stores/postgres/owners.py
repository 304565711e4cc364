"""Whose a domain is, by one look at an index.

Owns the statement. Refuses to know maildrops: names that exist and names that don't are asked for alike (G13).
"""

from uuid import UUID

from service.stores.postgres.database import Database

OWNER = """
SELECT tenant_id, t.name FROM domains d JOIN tenants t USING (tenant_id) WHERE d.name = $1 AND d.status <> 'removed'
"""


class PostgresDomainOwners:
    """Implements `mail.ports.DomainOwners`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def owner(self, domain: str) -> tuple[UUID, str] | None:
        """The id and the name of the tenant that has `domain`, or None. Raises Refusal(UNAVAILABLE)."""
        rows = await self._database.read(OWNER, domain)
        return (rows[0][0], rows[0][1]) if rows else None
