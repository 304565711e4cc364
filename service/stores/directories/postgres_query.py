"""A provider's users in a Postgres of its own, found by the provider's query.

Owns the connections, which may read alone, and the reading of asyncpg's errors. The address travels as parameters,
$1 and so on, never as part of the statement. Refuses to know whether a password is right: the verifiers are checked
by the same schemes as Poplar's own.
"""

from collections.abc import Sequence

import asyncpg

from service.mail.outside.ports import AwayError
from service.model.outside import Answer, Question
from service.model.refusal import Reason, Refusal
from service.stores.directories.connections import Connections
from service.stores.directories.rows import MOST_ROWS, stored, values
from service.stores.hosts import Hosts

Connection = asyncpg.Connection
Row = asyncpg.Record
CONNECTING = 60.0
_AWAY = (
    OSError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.TooManyConnectionsError,
    asyncpg.InvalidAuthorizationSpecificationError,
)


class PostgresQuery:
    """Implements `OutsideDirectory`; `query` is the provider's, `parameters` say what it is given.

    `seconds` are for connecting, to all of the URL's hosts together.
    """

    judges = False

    def __init__(self, name: str, url: str, query: str, parameters: Sequence[str], seconds: float = CONNECTING) -> None:
        limits = {"application_name": "poplar directory", "default_transaction_read_only": "on"}
        self._name = name
        self._hosts = Hosts(url, seconds, server_settings=limits)
        self._query = query
        self._parameters = parameters
        self._connections: Connections[Connection[Row]] = Connections(
            self._hosts.connect, lambda each: each.terminate()
        )

    async def ask(self, question: Question) -> Answer:
        """What is stored for the address. Raises Refusal(UNAVAILABLE), AwayError."""
        given = values(self._parameters, question.address)
        try:
            rows = await self._rows(given)
        except _AWAY as error:
            raise AwayError(f"{type(error).__name__}") from error
        except asyncpg.PostgresError as error:
            # Its text may repeat the address or a row.
            raise Refusal(Reason.UNAVAILABLE, f"directory {self._name}: {type(error).__name__}") from error
        return stored(self._name, [dict(row) for row in rows])

    def close(self) -> None:
        """End the connections."""
        self._connections.close()

    async def _rows(self, given: Sequence[str]) -> Sequence[Row]:
        fresh = True
        try:
            async with self._connections.one() as (connection, fresh):
                return await self._fetched(connection, given)
        except _AWAY:
            if fresh:
                raise
        # The connection had been idle, and the server ended it meanwhile: that says nothing about the server.
        async with self._connections.one(fresh=True) as (connection, _):
            return await self._fetched(connection, given)

    async def _fetched(self, connection: "Connection[Row]", given: Sequence[str]) -> Sequence[Row]:
        """The first rows, one more than may be, by a cursor: a wrong query may find a million, and they stay there."""
        # Without `async with`, which would wait on for a server that hangs: whatever fails here ends the connection.
        transaction = connection.transaction(readonly=True)
        await transaction.start()
        cursor = await connection.cursor(self._query, *given)
        rows = await cursor.fetch(MOST_ROWS + 1)
        await transaction.rollback()
        return rows
