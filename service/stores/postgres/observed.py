"""A `Database` whose calls are counted, timed and shown in the trace of whoever they are made for.

Owns the kinds of failure that the metrics tell apart. Refuses to change what a call does, and to show a value.
"""

import time
from collections.abc import AsyncIterator
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext
from types import TracebackType

import asyncpg

from service.model.refusal import Reason, Refusal
from service.stores.observing import Observer
from service.stores.postgres.database import Database, DatabaseOptions, Row
from service.stores.postgres.pool import Connection
from service.stores.postgres.statements import name_of
from service.telemetry.spans import NOTHING, Span

VENDOR = "postgres"
_FAILED = frozenset({Reason.UNAVAILABLE, Reason.UNKNOWN_OUTCOME, Reason.OVERLOADED})
_KINDS: tuple[tuple[type[BaseException] | tuple[type[BaseException], ...], str], ...] = (
    ((TimeoutError, asyncpg.QueryCanceledError), "timeout"),
    (asyncpg.TooManyConnectionsError, "overload"),
    (asyncpg.ReadOnlySQLTransactionError, "read_only"),
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
        self._observer = observer

    async def read(self, statement: str, *values: object) -> list[Row]:
        """As `Database.read`."""
        with self._observed(name_of(statement)):
            return await super().read(statement, *values)

    async def write(self, statement: str, *values: object, rows: int = 0) -> list[Row]:
        """As `Database.write`."""
        with self._observed(name_of(statement)):
            return await super().write(statement, *values, rows=rows)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """As `Database.transaction`."""
        with self._observed("transaction") as span:
            async with super().transaction() as connection:
                with _each_statement(connection, span):
                    yield connection

    def _observed(self, name: str) -> "_Observed":
        return _Observed(self._observer, name)


class _Observed:
    """One call, entered with `with`; a class, as a generator would cost several times as much at each login."""

    __slots__ = ("_observer", "_span", "_started")

    def __init__(self, observer: Observer, name: str) -> None:
        self._observer = observer
        self._span = observer.call(VENDOR, name)
        self._started = time.monotonic()

    def __enter__(self) -> Span:
        return self._span.__enter__()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Tell what it came to; a cancelled call came to nothing."""
        if error is None:
            self._told("ok")
        elif isinstance(error, Refusal) and error.reason in _FAILED:
            self._failed(kind_of(error.__cause__))
        elif isinstance(error, Refusal):
            self._told("refused")
        self._span.__exit__(kind, error, traceback)

    def _told(self, outcome: str) -> None:
        self._observer.store_called(VENDOR, outcome, time.monotonic() - self._started)

    def _failed(self, kind: str) -> None:
        self._told("failed")
        self._observer.store_failed(VENDOR, kind)
        self._span.note(kind=kind)


def _each_statement(connection: Connection, span: Span) -> AbstractContextManager[None, bool | None]:
    """Shows the statements of a transaction in its span, where that is recorded: their names, never their values."""
    if span is NOTHING:
        return nullcontext()

    def told(query: "asyncpg.connection.LoggedQuery") -> None:
        span.past(f"{VENDOR} {name_of(query.query)}", query.elapsed, VENDOR)

    return connection.query_logger(told)
