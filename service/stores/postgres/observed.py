"""A `Database` whose calls are counted and timed.

Owns the kinds of failure that the metrics tell apart. Refuses to change what a call does.
"""

import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import asyncpg

from service.model.refusal import Reason, Refusal
from service.stores.observing import Observer
from service.stores.postgres.database import Database, DatabaseOptions, Row

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
        with self._observed():
            return await super().read(statement, *values)

    async def write(self, statement: str, *values: object, rows: int = 0) -> list[Row]:
        """As `Database.write`."""
        with self._observed():
            return await super().write(statement, *values, rows=rows)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator["asyncpg.pool.PoolConnectionProxy[Row]"]:
        """As `Database.transaction`."""
        with self._observed():
            async with super().transaction() as connection:
                yield connection

    @contextmanager
    def _observed(self) -> Iterator[None]:
        started = time.monotonic()
        try:
            yield
        except Refusal as refusal:
            outcome = "failed" if refusal.reason in _FAILED else "refused"
            self._observer.store_called(VENDOR, outcome, time.monotonic() - started)
            if outcome == "failed":
                self._observer.store_failed(VENDOR, kind_of(refusal.__cause__))
            raise
        self._observer.store_called(VENDOR, "ok", time.monotonic() - started)
