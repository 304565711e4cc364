"""Units: several acts of staff in one transaction, for the whole service or within one tenant.

Owns the transaction's role: a unit within a tenant runs as poplar_delegate, whom row-level security shows that tenant's
rows alone, whatever a statement forgets. Refuses to let a vendor's words out: a refusal's cause goes to API clients.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from uuid import UUID

import asyncpg

from service.mail.tenancy import Act
from service.mail.units import Unit
from service.model.address import Address
from service.model.refusal import Reason, Refusal
from service.stores.postgres.database import Database, Row
from service.stores.postgres.errors import in_plain_words
from service.stores.postgres.tenancy import postgres_tenancy
from service.stores.postgres.tenancy.rows import Connection, lock_domain, lock_maildrop, lock_tenant

CONFINE = "SELECT set_config('role', 'poplar_delegate', true), set_config('poplar.tenant', $1, true)"


class PostgresUnits:
    """`mail.units.Units` on Postgres."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @asynccontextmanager
    async def open(self, tenant_id: UUID | None) -> AsyncIterator[Unit]:
        """One transaction. Raises Refusal(UNAVAILABLE), also when the role can't be taken."""
        async with self._database.transaction() as connection:
            if tenant_id is not None:
                await _confine(connection, tenant_id)
            yield Unit(postgres_tenancy(_InTransaction(connection)), PostgresHolds(connection))


async def _confine(connection: Connection, tenant_id: UUID) -> None:
    try:
        await connection.execute(CONFINE, str(tenant_id))
    except asyncpg.InvalidParameterValueError as error:
        # No value of the caller's: Postgres says so of a role that isn't there.
        raise Refusal(Reason.UNAVAILABLE, "postgres: the role poplar_delegate isn't there") from error


@dataclass(frozen=True, slots=True)
class PostgresHolds:
    """`mail.units.Holds` on Postgres: row locks, in the order in which the acts take theirs."""

    connection: Connection

    async def tenant(self, name: str) -> None:
        """Raises Refusal(NOT_FOUND)."""
        # Not stronger: whoever holds a domain and makes a maildrop there needs the tenant's key to stay, and would wait
        # in a ring with a unit that takes the domain next.
        await lock_tenant(self.connection, name, "NO KEY UPDATE")

    async def domain(self, tenant: str, name: str) -> None:
        """Raises Refusal(NOT_FOUND)."""
        await lock_domain(self.connection, Act("", tenant), name)

    async def maildrop(self, tenant: str, address: Address) -> None:
        """Raises Refusal(NOT_FOUND)."""
        await lock_maildrop(self.connection, Act("", tenant), address)


class _InTransaction(Database):
    """The connection of a transaction under way, as the acts know a database; an act of several statements nests."""

    def __init__(self, connection: Connection) -> None:
        super().__init__("")
        self._connection = connection

    async def read(self, statement: str, *values: object) -> list[Row]:
        """The rows. Raises Refusal."""
        with in_plain_words():
            return await self._connection.fetch(statement, *values)

    async def write(self, statement: str, *values: object, rows: int = 0) -> list[Row]:
        """As `read`: a transaction is never repeated in part."""
        return await self.read(statement, *values)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """A part of the transaction that can fail by itself. Raises Refusal."""
        with in_plain_words():
            async with self._connection.transaction():
                yield self._connection
