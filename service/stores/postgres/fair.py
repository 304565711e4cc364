"""A `Database` whose connections go to callers in fair turns.

Owns that a call costs its class the time for which it holds a connection, so that a tenant's listings of a hundred
thousand messages and removals of as many stand behind the short calls of others. Refuses to know what a class is.
"""

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Any, TypeAlias

import asyncpg

from service.mail.turns import SHORT, Turns, Whose
from service.stores.observing import Observer
from service.stores.postgres.database import DatabaseOptions, PoolStats, Row
from service.stores.postgres.observed import ObservedDatabase

Connection: TypeAlias = "asyncpg.Connection[Row]"


class FairDatabase(ObservedDatabase):
    """The pool behind `turns`, of which there are as many as connections; `whose` says for whom a call is made."""

    def __init__(
        self, dsn: str, options: DatabaseOptions, observer: Observer, turns: Turns, whose: Callable[[], Whose]
    ) -> None:
        super().__init__(dsn, options, observer)
        self._turns = turns
        self._half = turns.bounds.amount / 2
        self._whose = whose
        self._began: dict[int, tuple[Whose, float]] = {}

    @property
    def crowded(self) -> bool:
        """Whether more than half of the connections would be in use."""
        return self._turns.used + 1 > self._half

    def stats(self) -> PoolStats:
        """As `Database.stats`; those that wait for their turn wait for a connection."""
        stats = super().stats()
        return PoolStats(stats.connections, stats.idle, stats.waiting + self._turns.waiting)

    def read(self, statement: str, *values: object) -> Coroutine[Any, Any, list[Row]]:
        """As `Database.read`.

        Where connections are scarce it is a task of its own, which gives its connection back as soon as there is an
        answer. The session's next step may stand in a long line for the event loop: others would wait for the
        connection as long, whose turn it is (G16).
        """
        reading = super().read(statement, *values)
        return _by_itself(reading) if self.crowded else reading

    def _try_acquire(self) -> "Connection | None":
        whose = self._whose()
        if not self._turns.try_take(whose, cost=SHORT):
            return None
        if (connection := super()._try_acquire()) is None:
            self._turns.give_back(whose, cost=-SHORT)
            return None
        self._began[id(connection)] = (whose, time.monotonic())
        return connection

    async def _acquire(self, seconds: float) -> Connection:
        whose = self._whose()
        asked = time.monotonic()
        if not self._turns.try_take(whose, cost=SHORT):
            async with asyncio.timeout(seconds):
                await self._turns.take(whose, cost=SHORT)
        began = time.monotonic()
        try:
            connection = super()._try_acquire()
            if connection is None:
                connection = await super()._acquire(max(seconds - (began - asked), 0.001))
        except BaseException:
            self._turns.give_back(whose)
            raise
        self._began[id(connection)] = (whose, began)
        return connection

    def _release(self, connection: Connection) -> None:
        whose, began = self._began.pop(id(connection))
        try:
            super()._release(connection)
        finally:
            self._turns.give_back(whose, cost=time.monotonic() - began)


async def _by_itself(reading: Coroutine[Any, Any, list[Row]]) -> list[Row]:
    return await asyncio.create_task(reading)
