"""A real Postgres for tests, from Docker or from the wheel, and fresh databases in it.

Owns how a test gets a database of its own; refuses to know what is in it.
"""

import asyncio
import itertools
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import asyncpg

from service.embedded.postgres import running_postgres
from tests.backends.docker import container_or_wheel

IMAGE = "postgres:18"
_serial = itertools.count(1)


class Postgres(Protocol):
    """A running server; `dsn()` is a superuser's."""

    def dsn(self, database: str = "postgres", user: str = "poplar", password: str | None = None) -> str: ...


@dataclass(frozen=True)
class ContainerPostgres:
    host: str
    port: int
    owner_password: str

    def dsn(self, database: str = "postgres", user: str = "poplar", password: str | None = None) -> str:
        return f"postgresql://{user}:{password or self.owner_password}@{self.host}:{self.port}/{database}"


def postgres(folder: Path) -> AbstractContextManager[Postgres]:
    """A server with its files below `folder`, stopped at the end."""
    return container_or_wheel(_in_container, lambda: _from_wheel(folder))


@contextmanager
def fresh_database(server: Postgres, template: str = "template0") -> Iterator[str]:
    """The owner's DSN of a new database, a copy of `template`, dropped at the end."""
    name = f"test_{next(_serial)}"
    execute(server.dsn(), f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY")
    try:
        yield server.dsn(name)
    finally:
        execute(server.dsn(), f"DROP DATABASE {name} WITH (FORCE)")


def execute(dsn: str, *statements: str) -> None:
    """Run statements outside any transaction, on an event loop of their own."""
    loop = asyncio.new_event_loop()
    try:
        loop.run_until_complete(_execute(dsn, statements))
    finally:
        loop.close()


async def _execute(dsn: str, statements: tuple[str, ...]) -> None:
    connection = await asyncpg.connect(dsn, timeout=30)
    try:
        for statement in statements:
            await connection.execute(statement, timeout=60)
    finally:
        await connection.close()


@contextmanager
def _from_wheel(folder: Path) -> Iterator[Postgres]:
    with running_postgres(folder, durable=False) as server:
        yield server


@contextmanager
def _in_container() -> Iterator[Postgres]:
    from testcontainers.postgres import PostgresContainer

    options = "-c fsync=off -c synchronous_commit=off -c full_page_writes=off -c max_connections=200"
    container = PostgresContainer(IMAGE, username="poplar", password="poplar", dbname="postgres")
    with container.with_command(f"postgres {options}") as started:
        yield ContainerPostgres(started.get_container_host_ip(), int(started.get_exposed_port(5432)), "poplar")
