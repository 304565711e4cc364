"""A provider's users in MySQL or MariaDB, found by the provider's query.

Owns the connections and the reading of asyncmy's errors. The query is prepared by the server, and the address travels
as its parameters, `?`, in the binary protocol: nothing is escaped, and nothing interpolated. Refuses to know whether a
password is right: the verifiers are checked by the same schemes as Poplar's own.
"""

import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import asyncmy
from asyncmy.connection import Connection, PreparedStatement
from asyncmy.errors import MySQLError

from service.mail.outside.ports import AwayError
from service.model.outside import Answer, Question
from service.model.refusal import Reason, Refusal
from service.stores.directories.connections import Connections
from service.stores.directories.rows import MOST_ROWS, stored, values

PORT = 3306
READ_ONLY = "SET SESSION TRANSACTION READ ONLY"
FEW_ROWS = f"SET SESSION sql_select_limit = {MOST_ROWS + 1}"
"""All rows of a prepared statement are read before any is looked at, and a wrong query may find a million."""
_AWAY_NUMBERS = frozenset(
    {1040, 1044, 1045, 1049, 1053, 1077, 1079, 1129, 1130, 1152, 1158, 1159, 1160, 1161, 1203, 1226, 1698, 1927, 4031}
)
"""Full, going down, refusing this login or host, or having ended the connection."""
_CLIENT_NUMBERS = range(2000, 3000)
"""What the client itself says of a connection."""


@dataclass(frozen=True, slots=True)
class _Ready:
    """A connection, with the query prepared on it."""

    connection: Connection
    statement: PreparedStatement


class MySqlQuery:
    """Implements `OutsideDirectory`; `query` is the provider's, `parameters` say what it is given."""

    judges = False

    def __init__(
        self, name: str, url: str, query: str, parameters: Sequence[str], tls: ssl.SSLContext | None = None
    ) -> None:
        self._name = name
        self._options = _options(url)
        self._query = query
        self._parameters = parameters
        self._tls = tls
        self._connections: Connections[_Ready] = Connections(self._connect, lambda each: each.connection.close())

    async def ask(self, question: Question) -> Answer:
        """What is stored for the address. Raises Refusal(UNAVAILABLE), AwayError."""
        given = values(self._parameters, question.address)
        try:
            rows = await self._rows(given)
        except (OSError, MySQLError) as error:
            # Its text may repeat the address or a row.
            cause = f"{type(error).__name__} {_number(error) or ''}".rstrip()
            if _is_away(error):
                raise AwayError(cause) from error
            raise Refusal(Reason.UNAVAILABLE, f"directory {self._name}: {cause}") from error
        return stored(self._name, rows)

    def close(self) -> None:
        """End the connections."""
        self._connections.close()

    async def _rows(self, given: Sequence[str]) -> Sequence[Mapping[str, object]]:
        fresh = True
        try:
            async with self._connections.one() as (ready, fresh):
                return await _fetched(ready, given)
        except (OSError, MySQLError) as error:
            if fresh or not _is_away(error):
                raise
        # The connection had been idle, and the server ended it meanwhile: that says nothing about the server.
        async with self._connections.one(fresh=True) as (ready, _):
            return await _fetched(ready, given)

    async def _connect(self) -> _Ready:
        connection = await asyncmy.connect(
            **self._options, ssl=self._tls, charset="utf8mb4", autocommit=True, init_command=READ_ONLY
        )
        try:
            await connection.query(FEW_ROWS)  # type: ignore[no-untyped-call]
            return _Ready(connection, await connection.prepare(self._query))  # type: ignore[no-untyped-call]
        except BaseException:
            connection.close()
            raise


async def _fetched(ready: _Ready, given: Sequence[str]) -> Sequence[Mapping[str, object]]:
    result = await ready.statement.execute(given)  # type: ignore[no-untyped-call]
    names = [column[0].lower() for column in result.description or ()]
    return [dict(zip(names, row, strict=True)) for row in result.rows or ()]


def _number(error: Exception) -> int | None:
    number = error.args[0] if isinstance(error, MySQLError) and error.args else None
    return number if isinstance(number, int) else None


def _is_away(error: Exception) -> bool:
    number = _number(error)
    return isinstance(error, OSError) or number is None or number in _CLIENT_NUMBERS or number in _AWAY_NUMBERS


def _options(url: str) -> dict[str, Any]:
    parts = urlsplit(url)
    sockets = parse_qs(parts.query).get("unix_socket", [])
    return {
        "host": parts.hostname or "localhost",
        "port": parts.port or PORT,
        "user": unquote(parts.username or ""),
        "password": unquote(parts.password or ""),
        "database": unquote(parts.path.lstrip("/")) or None,
        "unix_socket": sockets[0] if sockets else None,
    }
