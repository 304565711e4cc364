"""Connections to Postgres, made when needed and used again: the last used first, so that few are in use at rest.

Owns how many there are and who gets the next one. asyncpg's own pool makes a task and two timers for each statement
and stands a proxy before each connection, which cost four times as much processor time as the statement itself.
Refuses to wait by the clock, which is its caller's business, and to know statements.
"""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable
from typing import TypeAlias

import asyncpg

from service.stores.postgres.errors import may_have_happened

IDLE_SECONDS = 300.0
"""After so long an idle connection is ended, once another one is returned."""
Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
Connect = Callable[[], Awaitable[Connection]]


class Pool:
    """At most `most` connections, idle and used."""

    def __init__(self, connect: Connect, most: int, idle_seconds: float = IDLE_SECONDS) -> None:
        self._connect = connect
        self._most = most
        self._idle_seconds = idle_seconds
        self._making = 0
        """Room that is somebody's who makes a connection, or is about to."""
        self._used: set[Connection] = set()
        self._idle: deque[tuple[Connection, float]] = deque()
        self._stale: set[Connection] = set()
        self._waiting: deque[asyncio.Future[Connection | None]] = deque()
        self._closed = False

    @property
    def size(self) -> int:
        """Connections that there are or will be in a moment."""
        return self._making + len(self._used) + len(self._idle)

    @property
    def idle(self) -> int:
        """Connections that nobody uses."""
        return len(self._idle)

    def try_acquire(self) -> "Connection | None":
        """A connection, to be released, if one is idle."""
        while self._idle:
            connection, _ = self._idle.pop()
            if not connection.is_closed():
                self._used.add(connection)
                return connection
        return None

    async def acquire(self) -> Connection:
        """The same, waited for or made. Raises what `connect` does, and InterfaceError when the pool ends."""
        if self._closed:
            raise _ended()
        if (idle := self.try_acquire()) is not None:
            return idle
        if self.size < self._most:
            self._making += 1
        elif (handed := await self._handed()) is not None:
            return handed
        return await self._made()

    def release(self, connection: Connection) -> None:
        """Take it back; one that is closed or led to a server that is none any more makes room for another."""
        closed = connection.is_closed()
        # In a transaction whose end failed, the next caller would be who the last one was (G10).
        if not closed and (connection in self._stale or connection.is_in_transaction()):
            connection.terminate()
            closed = True
        if closed:
            self._used.discard(connection)
            self._stale.discard(connection)
            self._make_room()
        elif (waiter := self._next()) is not None:
            waiter.set_result(connection)
        else:
            now = time.monotonic()
            self._used.discard(connection)
            self._idle.append((connection, now))
            self._end_idle(now - self._idle_seconds)

    def learn(self, error: BaseException | None, began: float) -> None:
        """What a failed use of one connection says of the others; `began` is when, by the monotonic clock.

        After a failover every connection may lead to the old primary: none is used again. A host that vanished without
        a word answers on none, and each would cost a try to find out: those end that nobody has used since.
        """
        if isinstance(error, asyncpg.ReadOnlySQLTransactionError):
            self.expire()
        elif error is not None and may_have_happened(error):
            self._end_idle(began)

    def expire(self) -> None:
        """Use no connection again that there is now."""
        self._stale |= self._used
        self._end_all(self._idle)

    def terminate(self) -> None:
        """End every connection, used ones and ones in the making too, and whoever waits for one."""
        self._closed = True
        self._end_all(self._idle)
        for connection in self._used:
            connection.terminate()
        while (waiter := self._next()) is not None:
            waiter.set_exception(_ended())

    async def _made(self) -> Connection:
        try:
            connection = await self._connect()
        except BaseException:
            self._give_up_room()
            raise
        if self._closed:
            connection.terminate()
            raise _ended()
        self._making -= 1
        self._used.add(connection)
        return connection

    async def _handed(self) -> "Connection | None":
        """What somebody returned, still counted as used; None where room for a new one was returned instead."""
        turn: asyncio.Future[Connection | None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            return await turn
        except BaseException:
            self._pass_on(turn)
            raise

    def _pass_on(self, turn: "asyncio.Future[Connection | None]") -> None:
        """Whoever waited gave up; what was handed over in the same moment goes to the next one."""
        if turn in self._waiting:
            self._waiting.remove(turn)
        elif turn.done() and not turn.cancelled() and turn.exception() is None:
            connection = turn.result()
            if connection is None:
                self._give_up_room()
            else:
                self.release(connection)

    def _give_up_room(self) -> None:
        self._making -= 1
        self._make_room()

    def _make_room(self) -> None:
        """There is one connection fewer."""
        if (waiter := self._next()) is not None:
            self._making += 1
            waiter.set_result(None)

    def _next(self) -> "asyncio.Future[Connection | None] | None":
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                return waiter
        return None

    def _end_idle(self, since: float) -> None:
        """End the connections that nobody has used since then, in seconds of the monotonic clock."""
        while self._idle and self._idle[0][1] < since:
            self._idle.popleft()[0].terminate()

    @staticmethod
    def _end_all(idle: "deque[tuple[Connection, float]]") -> None:
        while idle:
            idle.pop()[0].terminate()


def _ended() -> asyncpg.InterfaceError:
    return asyncpg.InterfaceError("the pool is closed")
