"""A `Database` whose calls are counted, timed and shown in the trace of whoever they are made for.

Owns the kinds of failure that the metrics tell apart. Refuses to change what a call does, and to show a value.
"""

from collections.abc import AsyncIterator
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext

import asyncpg

from service.model.refusal import Reason, Refusal
from service.stores.observing import Calls, Observed, Observer
from service.stores.postgres.database import Database, DatabaseOptions, Row, Tries
from service.stores.postgres.pool import Connection
from service.stores.postgres.statements import name_of
from service.telemetry.spans import NOTHING, Span

VENDOR = "postgres"
_FAILED = frozenset({Reason.UNAVAILABLE, Reason.UNKNOWN_OUTCOME, Reason.OVERLOADED})
_KINDS: tuple[tuple[type[BaseException] | tuple[type[BaseException], ...], str], ...] = (
    ((TimeoutError, asyncpg.QueryCanceledError), "timeout"),
    (asyncpg.TooManyConnectionsError, "overload"),
    ((asyncpg.ReadOnlySQLTransactionError, asyncpg.TargetServerAttributeNotMatched), "read_only"),
    ((asyncpg.InvalidAuthorizationSpecificationError, asyncpg.InsufficientPrivilegeError), "denied"),
    ((asyncpg.DiskFullError, asyncpg.OutOfMemoryError), "full"),
    (
        (OSError, asyncpg.InterfaceError, asyncpg.PostgresConnectionError, asyncpg.OperatorInterventionError),
        "connection",
    ),
)


def kind_of(error: BaseException | None) -> str:
    """The kind of a driver's error, out of the metrics' closed set."""
    return next((kind for kinds, kind in _KINDS if isinstance(error, kinds)), "protocol")


class ObservedDatabase(Database):
    """The pool, with every call told to an observer."""

    def __init__(self, dsn: str, options: DatabaseOptions, observer: Observer) -> None:
        super().__init__(dsn, options)
        self._calls = Calls(VENDOR, observer, kind_of)

    async def read(self, statement: str, *values: object) -> list[Row]:
        """As `Database.read`."""
        with _Observed(self._calls, name_of(statement)):
            return await self._repeat(statement, values, Tries(Reason.UNAVAILABLE))

    async def write(self, statement: str, *values: object, rows: int = 0) -> list[Row]:
        """As `Database.write`."""
        with _Observed(self._calls, name_of(statement)):
            return await super().write(statement, *values, rows=rows)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """As `Database.transaction`."""
        with _Observed(self._calls, "transaction") as span:
            async with super().transaction() as connection:
                with _each_statement(connection, span):
                    yield connection


class _Observed(Observed):
    """One call, whose failures are refusals already; what else is raised in it is its caller's."""

    __slots__ = ()

    def ended(self, error: BaseException | None) -> None:
        """Count it."""
        if error is None:
            self.told("ok")
        elif isinstance(error, Refusal) and error.reason in _FAILED:
            self.failed(kind_of(error.__cause__))
        elif isinstance(error, Refusal):
            self.told("refused")


def _each_statement(connection: Connection, span: Span) -> AbstractContextManager[None, bool | None]:
    """Shows the statements of a transaction in its span, where that is recorded: their names, never their values."""
    if span is NOTHING:
        return nullcontext()

    def told(query: "asyncpg.connection.LoggedQuery") -> None:
        span.past(f"{VENDOR} {name_of(query.query)}", query.elapsed, VENDOR)

    return connection.query_logger(told)
