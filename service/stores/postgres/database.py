"""The pool of connections to Postgres, and how long and how often a statement is tried.

Owns deadlines, repetition and the rule that no write is ever cancelled. Refuses to know what the
statements say: a caller promises that repeating one is harmless. Never a standby: a primary alone
answers. RFC 1939 §6 (an UPDATE whose outcome is unknown is resolved, or told as such).
"""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TypeVar

import asyncpg

from service.model.refusal import Reason, Refusal
from service.stores.hosts import Hosts
from service.stores.postgres.errors import (
    VENDOR_ERRORS,
    end_of,
    may_have_happened,
    may_pass,
    refusal_of,
)
from service.stores.postgres.large import prolongable, seconds_for
from service.stores.postgres.pool import Connection, Pool

Row = asyncpg.Record
Done = TypeVar("Done")
FIRST_PAUSE = 0.05
LONGEST_PAUSE = 1.0
CLOSING = 10.0
"""Seconds that writes under way get when a process ends: those of staff have deadlines beyond its own."""
LONGEST_STATEMENT = 10
"""Deadlines after which the server ends a statement that nobody waits for any more."""


@dataclass(frozen=True, slots=True)
class DatabaseOptions:
    """How a process uses Postgres. Times in seconds."""

    application_name: str = "poplar"
    connections: int = 10
    """The most connections this process holds; they are made when needed, so Postgres may be down at start."""
    deadline: float = 10.0
    """After this long a statement is refused, all its tries included."""
    attempt: float = 4.0
    """After this long one try, or one wait for a connection, is given up."""
    statement_cache: bool = True
    """False behind a pooler that shares connections between statements (PgBouncer before 1.21)."""
    server_limits: bool = True
    """False behind a pooler that refuses start-up parameters; set the limits on the role instead."""


@dataclass(frozen=True, slots=True)
class PoolStats:
    """Connections of this process: open ones, idle ones among them, and statements waiting for one."""

    connections: int
    idle: int
    waiting: int


class Database:
    """One process's way to Postgres; share it between all stores. Open it before use, close it after."""

    def __init__(self, dsn: str, options: DatabaseOptions | None = None) -> None:
        self._dsn = dsn
        self._options = options or DatabaseOptions()
        self._longest = LONGEST_STATEMENT * self._options.deadline
        """Seconds after which the server ends a statement by itself."""
        self._pool: Pool | None = None
        self._waiting = 0
        self._writes: set[asyncio.Task[object]] = set()

    async def open(self) -> None:
        """Make the pool; no connection is made yet."""
        o = self._options
        hosts = Hosts(
            self._dsn,
            o.attempt,
            statement_cache_size=256 if o.statement_cache else 0,
            server_settings=_server_settings(o),
            target_session_attrs=asyncpg.connect_utils.SessionAttribute.primary,
        )
        self._pool = Pool(hosts.connect, o.connections)

    async def close(self) -> None:
        """Wait for the writes under way, at most one deadline and CLOSING, then end every connection."""
        if self._writes:
            await asyncio.wait(self._writes, timeout=min(self._options.deadline, CLOSING))
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.terminate()

    async def read(self, statement: str, *values: object) -> list[Row]:
        """The rows of an idempotent statement, repeated on other connections until the deadline if one fails.

        Raises Refusal(UNAVAILABLE), or what `errors.refusal_of` says of the statement's own error.
        """
        return await self._repeat(statement, values, Tries(Reason.UNAVAILABLE))

    async def write(self, statement: str, *values: object, rows: int = 0) -> list[Row]:
        """Like `read` for an idempotent write, which is carried to its end even when the caller is cancelled.

        `rows` is how many it touches: a large write has more time. Raises Refusal(UNKNOWN_OUTCOME) when a try was
        sent and none was answered before the deadline.
        """
        tries = Tries(Reason.UNKNOWN_OUTCOME)
        return await self._carried_out(self._repeat(statement, values, tries, seconds_for(rows)))

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """One transaction on one connection, never repeated; `large.take_time` gives it more. Its errors are refusals.

        Its COMMIT goes on when the caller is cancelled, for the rest of the deadline, and as long as a try at least.
        Raises Refusal: EXISTS (a unique key), NOT_FOUND (a foreign key), INVALID (a check), UNAVAILABLE.
        """
        limit = asyncio.timeout(self._options.deadline)
        try:
            async with limit:
                if (connection := self._try_acquire()) is None:
                    connection = await self._acquire(self._options.attempt)
                async with self._begun(connection) as begun:
                    with prolongable(limit):
                        yield connection
            await self._carried_out(self._commit(connection, begun, limit.when() or 0.0))
        except VENDOR_ERRORS as error:
            self._learn(error, (limit.when() or 0.0) - self._options.deadline)
            raise refusal_of(error) from error
        except Refusal as refusal:
            # What the block ran of its own may have been refused already.
            self._learn(refusal.__cause__, (limit.when() or 0.0) - self._options.deadline)
            raise

    async def ping(self) -> str:
        """Postgres' version. Raises Refusal(UNAVAILABLE) when it can't be reached."""
        rows = await self.read("SELECT current_setting('server_version')")
        return str(rows[0][0])

    @property
    def crowded(self) -> bool:
        """Whether connections are scarce, so that each caller is to have its turn; here never."""
        return False

    def stats(self) -> PoolStats:
        """The pool as it is now; all zero while it is closed."""
        if self._pool is None:
            return PoolStats(0, 0, 0)
        return PoolStats(self._pool.size, self._pool.idle, self._waiting)

    async def _repeat(self, statement: str, values: Sequence[object], tries: "Tries", more: float = 0.0) -> list[Row]:
        clock = asyncio.get_running_loop().time
        now = clock()
        end = now + self._options.deadline + more
        pause = FIRST_PAUSE
        while True:
            seconds = min(self._options.attempt + more, max(end - now, 0.001))
            try:
                return await self._once(statement, values, seconds, tries)
            except VENDOR_ERRORS as error:
                self._learn(error, now)
                if self._pool is None or not may_pass(error) or clock() + pause >= end:
                    raise tries.refusal(error) from error
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)
            now = clock()

    async def _once(self, statement: str, values: Sequence[object], seconds: float, tries: "Tries") -> list[Row]:
        if (connection := self._try_acquire()) is None:
            connection = await self._acquire(seconds)
        long = seconds > self._longest
        # A statement that outlives its try is abandoned with its connection, not cancelled: the repetition
        # waits for its locks and finds what it did.
        alarm = asyncio.get_running_loop().call_later(seconds, _cut, connection)
        try:
            if long:
                await self._let_take(connection, seconds)
            return await connection.fetch(statement, *values)
        except asyncio.CancelledError:
            _cut(connection)
            raise
        except (AttributeError, RuntimeError) as error:
            if (ended := end_of(connection, error)) is None:
                raise
            tries.unanswered = True
            raise ended from error
        except VENDOR_ERRORS as error:
            tries.unanswered = tries.unanswered or may_have_happened(error)
            raise
        finally:
            alarm.cancel()
            if long:
                _cut(connection)
            self._release(connection)

    @asynccontextmanager
    async def _begun(self, connection: Connection) -> AsyncIterator[asyncpg.transaction.Transaction]:
        """A transaction to be committed after the block; one that is left otherwise ends there."""
        begun = connection.transaction()
        try:
            await begun.start()
            try:
                yield begun
            except Exception:
                await begun.rollback()
                raise
        except BaseException as error:
            if isinstance(error, asyncio.CancelledError):
                _cut(connection)
            self._release(connection)
            raise

    async def _commit(self, connection: Connection, begun: asyncpg.transaction.Transaction, due: float) -> None:
        loop = asyncio.get_running_loop()
        alarm = loop.call_at(max(due, loop.time() + self._options.attempt), _cut, connection)
        try:
            await begun.commit()
        finally:
            alarm.cancel()
            self._release(connection)

    async def _let_take(self, connection: Connection, seconds: float) -> None:
        """Have the server work for so long, which is longer than it would; the connection must end after this one."""
        if self._options.server_limits:
            await connection.execute(f"SET statement_timeout = {int(1000 * seconds)}")

    def _try_acquire(self) -> "Connection | None":
        """A connection that can be had at once: nearly all can, and needn't have a coroutine made for it."""
        return None if self._pool is None else self._pool.try_acquire()

    async def _acquire(self, seconds: float) -> Connection:
        """The same, waited for."""
        if self._pool is None:
            raise asyncpg.InterfaceError("the pool is closed")
        self._waiting += 1
        try:
            async with asyncio.timeout(seconds):
                return await self._pool.acquire()
        except RuntimeError as error:
            raise end_of(None, error) or error from error
        finally:
            self._waiting -= 1

    def _learn(self, error: BaseException | None, began: float) -> None:
        """See `Pool.learn`."""
        if self._pool is not None:
            self._pool.learn(error, began)

    def _release(self, connection: Connection) -> None:
        if self._pool is not None:
            self._pool.release(connection)

    async def _carried_out(self, write: Coroutine[object, object, Done]) -> Done:
        """What `write` brings, which goes on when its caller is cancelled; `close` waits for it."""
        task = asyncio.create_task(write)
        self._writes.add(task)
        task.add_done_callback(self._write_done)
        return await asyncio.shield(task)

    def _write_done(self, task: asyncio.Task[Done]) -> None:
        self._writes.discard(task)
        if not task.cancelled():
            task.exception()


@dataclass(slots=True)
class Tries:
    """What is known after some tries: whether one was sent and never answered, which then is refused as `lost`."""

    lost: Reason
    unanswered: bool = False

    def refusal(self, last: Exception) -> Refusal:
        """What the caller hears, where `last` was the last try's error."""
        refusal = refusal_of(last)
        return Refusal(self.lost, refusal.cause) if self.unanswered else refusal


def _server_settings(options: DatabaseOptions) -> dict[str, str]:
    settings = {"application_name": options.application_name}
    if options.server_limits:
        milliseconds = int(options.deadline * 1000)
        settings |= dict.fromkeys(("lock_timeout", "idle_in_transaction_session_timeout"), str(milliseconds))
        settings |= {"statement_timeout": str(LONGEST_STATEMENT * milliseconds)}
        # Every statement here has one good plan whatever its values: planning each time cost a third of a login's.
        settings |= {"jit": "off", "plan_cache_mode": "force_generic_plan"}
        # Days are added to moments by functions too, and a day has 24 hours in this zone alone.
        settings |= {"timezone": "UTC"}
    return settings


def _cut(connection: Connection) -> None:
    """End the connection now, which may have ended already."""
    connection.terminate()
