"""Postgres restarting, killed, silent or full while a statement runs: what was done, and what is said. F5, F6; G3, G14.

RFC 3206 §4: a fault is temporary and says so. RFC 1939 §6: a removal is told as done only when it is.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Generator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from service.mail.tenancy import Act
from service.model.account import MaildropKey, Status
from service.model.refusal import Reason, Refusal
from service.stores.postgres import database as database_module
from service.stores.postgres.database import Database, DatabaseOptions, PoolStats
from service.stores.postgres.directory import PostgresDirectory
from service.stores.postgres.errors import end_of
from service.stores.postgres.index import PostgresMessageIndex
from service.stores.postgres.migrate import migrate
from service.stores.postgres.observed import kind_of
from service.stores.postgres.units import PostgresUnits
from tests.stores.wiretap import Wiretap, silent, tapped
from tests.stores.worlds import PostgresWorld, deliver, message, one_maildrop, recipient

# The service runs on uvloop; how a connection ends is the loop's business.
pytestmark = pytest.mark.asyncio(loop_factories=["asyncio", "uvloop"])

FENCE, NEWER = b"\x01" * 16, b"\x02" * 16
IMPATIENT = DatabaseOptions(connections=4, deadline=1.0, attempt=0.5)
PATIENT = DatabaseOptions(connections=4, deadline=20.0, attempt=8.0)


@asynccontextmanager
async def through(dsn: str, options: DatabaseOptions = PATIENT) -> AsyncIterator[tuple[Wiretap, Database]]:
    async with tapped(dsn) as (tap, tapped_dsn):
        database = Database(tapped_dsn, options)
        await database.open()
        try:
            yield tap, database
        finally:
            await database.close()


async def reason_of(refused: Awaitable[object]) -> Reason:
    with pytest.raises(Refusal) as refusal:
        await refused
    return refusal.value.reason


async def until(condition: Callable[[], Awaitable[object]]) -> None:
    """Wait until `condition` holds; the test's own time limit ends it otherwise."""
    while True:
        if await condition():
            return
        await asyncio.sleep(0.01)


async def kill_backends(world: PostgresWorld, application: str) -> int:
    rows = await world.owner.fetch(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
        " WHERE application_name = $1 AND pid <> pg_backend_pid() AND datname = current_database()",
        application,
    )
    return len(rows)


async def blocked_backends(world: PostgresWorld) -> list[int]:
    rows = await world.owner.fetch(
        "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    )
    return [row[0] for row in rows]


async def until_blocked(world: PostgresWorld) -> list[int]:
    await until(lambda: blocked_backends(world))
    return await blocked_backends(world)


@asynccontextmanager
async def fence_locked(world: PostgresWorld, dsn: str) -> AsyncIterator[None]:
    """Holds the rows of all fences, so that a removal waits."""
    holder = await asyncpg.connect(dsn)
    try:
        async with holder.transaction():
            await holder.execute("SELECT FROM fences FOR UPDATE")
            yield
    finally:
        await holder.close()


async def test_killed_idle_connections_cost_no_reader_an_error(postgres_world: PostgresWorld) -> None:
    key = await one_maildrop(postgres_world)
    await asyncio.gather(*(postgres_world.directory.find("alice@acme.example") for _ in range(8)))
    for _ in range(3):
        assert await kill_backends(postgres_world, "poplar-test") > 0
        accounts = await asyncio.gather(*(postgres_world.directory.find("alice@acme.example") for _ in range(8)))
        assert {a and a.key for a in accounts} == {key}


async def test_a_read_whose_answer_is_lost_is_repeated(postgres_world: PostgresWorld, migrated_dsn: str) -> None:
    key = await one_maildrop(postgres_world)
    async with through(migrated_dsn) as (tap, database):
        directory = PostgresDirectory(database)
        await directory.find("alice@acme.example")
        tap.lose = 2
        account = await directory.find("alice@acme.example")
        assert account is not None
        assert account.key == key
        assert tap.lose == 0


async def test_a_removal_whose_answer_is_lost_is_found_done(postgres_world: PostgresWorld, migrated_dsn: str) -> None:
    key = await one_maildrop(postgres_world)
    await deliver(postgres_world, key, message(), message())
    async with through(migrated_dsn) as (tap, database):
        index = PostgresMessageIndex(database)
        await index.open(key, FENCE)
        await warm(index, key)
        tap.lose = 1
        await index.remove(key, FENCE, [2])
        assert tap.lose == 0
    drop = await postgres_world.index.open(key, NEWER)
    assert (drop.messages, drop.removals) == (1, 1)
    # The repetition leaves no second entry in the audit.
    assert [entry.details["messages"] for entry in await postgres_world.audit(key.tenant_id)] == [1]


async def test_of_several_hosts_the_second_is_reached_where_the_first_says_nothing(migrated_dsn: str) -> None:
    async with silent() as silence:
        login, _, rest = migrated_dsn.rpartition("@")
        options = DatabaseOptions(connections=4, deadline=20.0, attempt=2.0)
        database = Database(f"{login}@{silence.host},{rest}", options)
        await database.open()
        try:
            assert (await database.read("SELECT 1"))[0][0] == 1
            # The silent host isn't asked first again.
            await asyncio.gather(*(database.read("SELECT pg_sleep(0.05)") for _ in range(4)))
            assert silence.taken == 1
        finally:
            await database.close()


async def leave_idle(database: Database, connections: int) -> None:
    """Make so many connections, and use them no more."""
    await asyncio.gather(*(database.read("SELECT pg_sleep(0.05)") for _ in range(connections)))
    assert database.stats() == PoolStats(connections=connections, idle=connections, waiting=0)
    # The loop's clock may be a few milliseconds behind.
    await asyncio.sleep(0.02)


async def test_a_host_that_vanished_costs_one_try_and_not_one_for_each_idle_connection(migrated_dsn: str) -> None:
    async with through(migrated_dsn, DatabaseOptions(connections=8, deadline=6.0, attempt=2.0)) as (tap, database):
        await leave_idle(database, 8)
        tap.vanish()
        assert (await database.read("SELECT 1"))[0][0] == 1
        assert database.stats() == PoolStats(connections=1, idle=1, waiting=0)


async def test_a_transaction_that_found_its_host_vanished_is_the_only_one(migrated_dsn: str) -> None:
    async with through(migrated_dsn, IMPATIENT) as (tap, database):
        await leave_idle(database, 4)
        tap.vanish()
        with pytest.raises(Refusal):
            async with database.transaction():
                pass
        async with database.transaction() as connection:
            assert await connection.fetchval("SELECT 1") == 1


class Paced:
    """Awaits a coroutine whose every step comes late, as a session's do while others have their turn."""

    def __init__(self, work: Coroutine[Any, Any, object]) -> None:
        self._work = work

    def __await__(self) -> Generator[Any, None, object]:
        while True:
            try:
                waits_for = self._work.send(None)
            except StopIteration as done:
                return done.value
            yield waits_for
            yield from asyncio.sleep(0.01).__await__()


async def test_an_authority_that_is_not_there_is_told_by_the_parameter_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(Refusal) as refusal:
        await migrate(f"postgresql://u:p@127.0.0.1:1/x?sslmode=verify-full&sslrootcert={tmp_path}/ca.crt")
    assert "sslrootcert" in (refusal.value.cause or "")


async def test_a_connection_that_ends_before_the_first_word_is_an_outage_and_no_fault() -> None:
    server = await asyncio.start_server(lambda _, writer: writer.transport.abort(), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    database = Database(f"postgresql://front:secret@127.0.0.1:{port}/poplar", IMPATIENT)
    await database.open()
    try:
        assert await reason_of(Paced(database.read("SELECT 1"))) is Reason.UNAVAILABLE
    finally:
        await database.close()
        server.close()


async def warm(index: PostgresMessageIndex, key: MaildropKey) -> None:
    """Prepare the statement that removes, on a sequence number that no message has."""
    await index.remove(key, FENCE, [10**12])


async def test_a_removal_whose_answer_never_comes_is_found_done(
    postgres_world: PostgresWorld, migrated_dsn: str
) -> None:
    key = await one_maildrop(postgres_world)
    await deliver(postgres_world, key, message(), message())
    async with through(migrated_dsn, DatabaseOptions(connections=2, deadline=20.0, attempt=1.0)) as (tap, database):
        index = PostgresMessageIndex(database)
        await index.open(key, FENCE)
        await warm(index, key)
        tap.silence = 1
        await index.remove(key, FENCE, [1])
    drop = await postgres_world.index.open(key, NEWER)
    assert (drop.messages, drop.removals) == (1, 1)


async def test_a_lost_answer_is_found_done_although_a_newer_session_opened_since(
    postgres_world: PostgresWorld, migrated_dsn: str
) -> None:
    key = await one_maildrop(postgres_world)
    await deliver(postgres_world, key, message(), message())
    async with through(migrated_dsn, DatabaseOptions(connections=2, deadline=20.0, attempt=2.0)) as (tap, database):
        index = PostgresMessageIndex(database)
        await index.open(key, FENCE)
        await warm(index, key)
        tap.silence = 1
        removal = asyncio.create_task(index.remove(key, FENCE, [1]))
        await until(lambda: postgres_world.owner.fetchval("SELECT messages = 1 FROM maildrops"))
        await postgres_world.index.open(key, NEWER)
        await removal
    assert (await postgres_world.index.open(key, NEWER)).messages == 1


async def test_an_outcome_that_stays_unknown_is_said_to_be(postgres_world: PostgresWorld, migrated_dsn: str) -> None:
    key = await one_maildrop(postgres_world)
    await deliver(postgres_world, key, message())
    async with through(migrated_dsn) as (tap, database):
        index = PostgresMessageIndex(database)
        await index.open(key, FENCE)
        await warm(index, key)
        tap.lose = 10**6
        database._options = IMPATIENT
        assert await reason_of(index.remove(key, FENCE, [1])) is Reason.UNKNOWN_OUTCOME


async def test_a_removal_that_was_never_sent_is_said_to_have_removed_nothing(
    postgres_world: PostgresWorld, migrated_dsn: str
) -> None:
    key = await one_maildrop(postgres_world)
    await deliver(postgres_world, key, message())
    await postgres_world.index.open(key, FENCE)
    async with through(migrated_dsn, IMPATIENT) as (tap, database):
        tap.refuse = True
        assert await reason_of(PostgresMessageIndex(database).remove(key, FENCE, [1])) is Reason.UNAVAILABLE
    assert (await postgres_world.index.open(key, NEWER)).messages == 1


async def test_a_backend_killed_in_the_middle_of_a_removal_costs_nothing(
    postgres_world: PostgresWorld, migrated_dsn: str
) -> None:
    key = await one_maildrop(postgres_world)
    await deliver(postgres_world, key, message(), message())
    await postgres_world.index.open(key, FENCE)
    async with fence_locked(postgres_world, migrated_dsn):
        removal = asyncio.create_task(postgres_world.index.remove(key, FENCE, [1]))
        for pid in await until_blocked(postgres_world):
            assert await postgres_world.owner.fetchval("SELECT pg_terminate_backend($1, 5000)", pid)
    await removal
    drop = await postgres_world.index.open(key, NEWER)
    assert (drop.messages, drop.removals) == (1, 1)


async def test_a_cancelled_caller_does_not_cancel_its_removal(postgres_world: PostgresWorld, migrated_dsn: str) -> None:
    key = await one_maildrop(postgres_world)
    await deliver(postgres_world, key, message(), message())
    await postgres_world.index.open(key, FENCE)
    async with fence_locked(postgres_world, migrated_dsn):
        removal = asyncio.create_task(postgres_world.index.remove(key, FENCE, [1]))
        blocked = await until_blocked(postgres_world)
        removal.cancel()
        with pytest.raises(asyncio.CancelledError):
            await removal
        for pid in blocked:
            assert await postgres_world.owner.fetchval("SELECT pg_terminate_backend($1, 5000)", pid)
    await postgres_world.database.close()
    assert await postgres_world.owner.fetchval("SELECT messages FROM maildrops") == 1


async def begin_to_commit(database: Database, tap: Wiretap) -> "asyncio.Task[None]":
    """Staff's change, whose COMMIT is on its way and waits for `tap.go`."""

    async def change() -> None:
        async with database.transaction() as connection:
            await connection.execute("UPDATE tenants SET status = 'suspended'")
            tap.go.clear()

    changing = asyncio.create_task(change())
    await tap.waits.wait()
    return changing


async def test_a_caller_that_is_cancelled_cancels_no_commit(postgres_world: PostgresWorld, migrated_dsn: str) -> None:
    await one_maildrop(postgres_world)
    async with through(migrated_dsn) as (tap, database):
        changing = await begin_to_commit(database, tap)
        changing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await changing
        tap.go.set()
        await database.close()
    assert await postgres_world.owner.fetchval("SELECT status FROM tenants") == "suspended"


async def test_a_deadline_that_is_over_cancels_no_commit(postgres_world: PostgresWorld, migrated_dsn: str) -> None:
    await one_maildrop(postgres_world)
    options = DatabaseOptions(connections=1, deadline=0.5, attempt=20.0, server_limits=False)
    async with through(migrated_dsn, options) as (tap, database):
        changing = await begin_to_commit(database, tap)
        await asyncio.sleep(0.6)
        tap.go.set()
        await changing
        assert database.stats() == PoolStats(connections=1, idle=1, waiting=0)


async def test_a_commit_without_an_answer_is_given_up_with_its_connection(
    postgres_world: PostgresWorld, migrated_dsn: str
) -> None:
    await one_maildrop(postgres_world)
    async with through(migrated_dsn, IMPATIENT) as (tap, database):
        assert await reason_of(await begin_to_commit(database, tap)) is Reason.UNAVAILABLE
        assert database.stats() == PoolStats(connections=0, idle=0, waiting=0)
        tap.go.set()


async def test_a_cancelled_read_costs_its_connection_and_nothing_else(
    postgres_world: PostgresWorld, migrated_dsn: str
) -> None:
    await one_maildrop(postgres_world)
    database = Database(migrated_dsn, DatabaseOptions(connections=1))
    await database.open()
    read = asyncio.create_task(database.read("SELECT pg_sleep(60)"))
    sleeping = "SELECT count(*) FROM pg_stat_activity WHERE query ~ '^SELECT pg_sleep' AND state = 'active'"
    await until(lambda: postgres_world.owner.fetchval(sleeping))
    read.cancel()
    with pytest.raises(asyncio.CancelledError):
        await read
    assert await PostgresDirectory(database).find("alice@acme.example") is not None
    await database.close()


async def test_an_exhausted_pool_refuses_at_the_deadline_and_recovers(migrated_dsn: str) -> None:
    database = Database(migrated_dsn, DatabaseOptions(connections=1))
    await database.open()
    async with database.transaction():
        database._options = IMPATIENT
        waiting = asyncio.create_task(database.read("SELECT 1"))
        await asyncio.sleep(0)
        assert database.stats() == PoolStats(connections=1, idle=0, waiting=1)
        assert await reason_of(waiting) is Reason.UNAVAILABLE
    database._options = PATIENT
    assert [row[0] for row in await database.read("SELECT 1")] == [1]
    assert database.stats() == PoolStats(connections=1, idle=1, waiting=0)
    await database.close()


async def test_a_statement_that_outlives_its_deadline_is_refused(migrated_dsn: str) -> None:
    database = Database(migrated_dsn, IMPATIENT)
    await database.open()
    assert await reason_of(database.read("SELECT pg_sleep(600)")) is Reason.UNAVAILABLE
    await database.close()


class EndedMeanwhile(asyncpg.Connection):
    """A connection whose statement is given up as soon as it is prepared."""

    async def _get_statement(self, *values: Any, **named: Any) -> Any:
        prepared = await super()._get_statement(*values, **named)  # type: ignore[misc]
        self.terminate()
        return prepared


async def test_a_statement_given_up_between_two_of_its_steps_is_an_outage_and_no_fault(migrated_dsn: str) -> None:
    connection = await asyncpg.connect(migrated_dsn, connection_class=EndedMeanwhile)
    with pytest.raises((AttributeError, RuntimeError)) as raised:
        await connection.fetch("SELECT 1")
    assert isinstance(end_of(connection, raised.value), ConnectionResetError)


async def test_a_large_write_has_more_time_at_the_server_too(migrated_dsn: str) -> None:
    """RFC 1939 §6: a QUIT that removes a million messages is not ended by the limit of ordinary statements."""
    database = Database(migrated_dsn, DatabaseOptions(connections=1, deadline=0.05, attempt=0.05))
    await database.open()
    try:
        (row,) = await database.write("SELECT 1 FROM pg_sleep(1)", rows=300_000)
        assert row[0] == 1
        (limit,) = await database.write("SHOW statement_timeout", rows=2_000)
        assert limit[0] == "500ms"
    finally:
        await database.close()


async def test_a_service_without_postgres_starts_and_refuses_until_it_comes(migrated_dsn: str) -> None:
    async with through(migrated_dsn, IMPATIENT) as (tap, database):
        tap.refuse = True
        assert await reason_of(database.ping()) is Reason.UNAVAILABLE
        tap.refuse = False
        database._options = PATIENT
        assert int((await database.ping()).split(".")[0]) >= 14


async def test_a_write_that_never_ends_holds_up_the_close_no_longer_than_that_may_take(
    migrated_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database_module, "CLOSING", 0.05)
    database = Database(migrated_dsn, PATIENT)
    await database.open()
    database._writes.add(write := asyncio.ensure_future(asyncio.Event().wait()))
    await asyncio.wait_for(database.close(), 5)
    assert not write.done()
    write.cancel()


async def test_a_closed_database_refuses(migrated_dsn: str) -> None:
    database = Database(migrated_dsn, IMPATIENT)
    assert await reason_of(database.ping()) is Reason.UNAVAILABLE
    await database.open()
    await database.close()
    assert await reason_of(database.ping()) is Reason.UNAVAILABLE


async def test_a_standby_that_was_the_primary_is_left_for_the_new_one(postgres_world: PostgresWorld) -> None:
    key = await one_maildrop(postgres_world)
    await deliver(postgres_world, key, message())
    await postgres_world.owner.execute("ALTER ROLE CURRENT_USER IN DATABASE " + await name(postgres_world) + READ_ONLY)
    await kill_backends(postgres_world, "poplar-test")
    opening = asyncio.create_task(postgres_world.index.open(key, FENCE))
    await until(lambda: refused_as_read_only(postgres_world))
    await postgres_world.owner.execute(
        "ALTER ROLE CURRENT_USER IN DATABASE " + await name(postgres_world) + " RESET default_transaction_read_only"
    )
    assert (await opening).messages == 1


async def test_a_primary_that_was_read_only_for_a_while_takes_what_staff_writes(
    postgres_world: PostgresWorld, migrated_dsn: str
) -> None:
    """Its sessions stay read-only that began meanwhile; staff's writes are transactions, which nothing repeats."""
    await one_maildrop(postgres_world)
    database = Database(migrated_dsn, IMPATIENT)
    await database.open()
    units = PostgresUnits(database)

    async def suspend() -> None:
        async with units.open(None) as unit:
            await unit.tenancy.tenants.set_status(Act("tester", "acme"), Status.SUSPENDED)

    await postgres_world.owner.execute("ALTER ROLE CURRENT_USER IN DATABASE " + await name(postgres_world) + READ_ONLY)
    try:
        assert await reason_of(suspend()) is Reason.UNAVAILABLE
    finally:
        await postgres_world.owner.execute(
            "ALTER ROLE CURRENT_USER IN DATABASE " + await name(postgres_world) + " RESET default_transaction_read_only"
        )
    await suspend()
    await database.close()
    assert await postgres_world.owner.fetchval("SELECT status FROM tenants") == "suspended"


async def test_a_standby_is_counted_as_such() -> None:
    for error in (asyncpg.TargetServerAttributeNotMatched("none matches"), asyncpg.ReadOnlySQLTransactionError("no")):
        assert kind_of(error) == "read_only"


READ_ONLY = " SET default_transaction_read_only = on"


async def name(world: PostgresWorld) -> str:
    return str(await world.owner.fetchval("SELECT current_database()"))


async def refused_as_read_only(world: PostgresWorld) -> bool:
    query = "SELECT sum(xact_rollback) FROM pg_stat_database WHERE datname = current_database()"
    await world.owner.execute("SELECT pg_stat_clear_snapshot()")
    return bool(await world.owner.fetchval(query))


async def test_an_append_whose_answer_is_lost_stores_one_message(
    postgres_world: PostgresWorld, migrated_dsn: str
) -> None:
    key = await one_maildrop(postgres_world)
    async with through(migrated_dsn) as (tap, database):
        index = PostgresMessageIndex(database)
        assert await index.append([(recipient(key), message())]) == [None]
        tap.lose = 1
        assert await index.append([(recipient(key), message())]) == [None]
        assert tap.lose == 0
    assert (await postgres_world.index.open(key, FENCE)).messages == 2


async def test_an_append_whose_outcome_stays_unknown_is_temporary(
    postgres_world: PostgresWorld, migrated_dsn: str
) -> None:
    key = await one_maildrop(postgres_world)
    async with through(migrated_dsn) as (tap, database):
        index = PostgresMessageIndex(database)
        assert await index.append([(recipient(key), message())]) == [None]
        tap.lose = 10**6
        database._options = IMPATIENT
        assert await reason_of(index.append([(recipient(key), message())])) is Reason.UNAVAILABLE
