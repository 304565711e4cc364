"""A real Postgres stopped, crashed and started again under open connections. F5, F6; G3, G4, G14.

RFC 3206 §4: what passes by itself is not told as a wrong password; here it isn't told at all.
"""

import asyncio
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest

from service.embedded.postgres import PostgresServer, running_postgres
from service.model.refusal import Reason, Refusal
from service.stores.postgres.database import Database, DatabaseOptions
from service.stores.postgres.migrate import migrate, migrations, pending
from tests.stores.worlds import PostgresWorld, deliver, message, one_maildrop

# The service runs on uvloop; how a connection ends is the loop's business.
pytestmark = pytest.mark.asyncio(loop_factories=["asyncio", "uvloop"])

FENCE, NEWER = b"\x01" * 16, b"\x02" * 16


class Restartable:
    """A server of this test's own, on one port for all its lives."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._port = 0

    @contextmanager
    def running(self) -> Iterator[PostgresServer]:
        with running_postgres(self._folder, durable=False, port=self._port) as server:
            self._port = server.port
            yield server


@pytest.fixture
def server(tmp_path: Path) -> Restartable:
    return Restartable(tmp_path / "own")


async def world_in(database: Database, dsn: str) -> PostgresWorld:
    await migrate(dsn)
    await database.open()
    return PostgresWorld(database, await asyncpg.connect(dsn))


async def test_a_migration_looks_for_the_primary_as_a_process_does(tmp_path: Path, postgres_dsn: str) -> None:
    parts = urlsplit(postgres_dsn)
    with running_postgres(tmp_path, durable=True) as first:
        owner = await asyncpg.connect(first.dsn())
        if parts.username != urlsplit(first.dsn()).username:
            await owner.execute(f"CREATE ROLE {parts.username} LOGIN")
        await owner.execute(f"ALTER ROLE {parts.username} PASSWORD '{parts.password}'")
        await owner.execute(f"CREATE DATABASE {parts.path[1:]}")
        await owner.close()
    (first.state / "data" / "standby.signal").touch()
    with running_postgres(tmp_path, durable=True) as standby:
        both = parts._replace(netloc=parts.netloc.replace("@", f"@127.0.0.1:{standby.port},")).geturl()
        assert await pending(both) == [each.version for each in migrations()]
        assert await migrate(both) == await pending(postgres_dsn) + [each.version for each in migrations()]


async def test_a_restart_costs_no_session_and_no_login_an_error(server: Restartable) -> None:
    with server.running() as first:
        database = Database(first.dsn(), DatabaseOptions(connections=4, deadline=60.0))
        world = await world_in(database, first.dsn())
        key = await one_maildrop(world)
        await deliver(world, key, message(), message())
        drop = await world.index.open(key, FENCE)
        await asyncio.gather(*(world.directory.find("alice@acme.example") for _ in range(4)))
    login = asyncio.create_task(world.directory.find("alice@acme.example"))
    removal = asyncio.create_task(world.index.remove(key, FENCE, [1]))
    await asyncio.wait({login, removal}, timeout=0.2)
    assert not login.done()
    assert not removal.done()
    with server.running():
        assert await login is not None
        await removal
        assert list((await world.index.listing(key, drop)).sequences) == [1, 2]
        assert (await world.index.open(key, NEWER)).messages == 1
        await database.close()


async def test_after_a_crash_no_earlier_session_can_remove_and_every_message_is_there(server: Restartable) -> None:
    with server.running() as first:
        database = Database(first.dsn(), DatabaseOptions(connections=4, deadline=60.0))
        world = await world_in(database, first.dsn())
        key = await one_maildrop(world)
        await deliver(world, key, message(), message(), message())
        await world.index.open(key, FENCE)
        await world.index.remove(key, FENCE, [1])
        await world.owner.execute("CHECKPOINT")
        os.kill(first.pid, signal.SIGKILL)
    with server.running():
        with pytest.raises(Refusal) as refused:
            await world.index.remove(key, FENCE, [2])
        assert refused.value.reason is Reason.LOST
        await world.index.remove(key, FENCE, [1])
        drop = await world.index.open(key, NEWER)
        assert list((await world.index.listing(key, drop)).sequences) == [2, 3]
        await database.close()
