"""The worlds in which the stores of rows are tested: one in memory, one in a real Postgres."""

from collections.abc import AsyncIterator

import asyncpg
import pytest

from service.stores.postgres.database import Database, DatabaseOptions
from tests.stores.worlds import MemoryWorld, PostgresWorld, World


@pytest.fixture(params=["memory", "postgres"])
def world_dsn(request: pytest.FixtureRequest) -> str | None:
    """The owner's DSN of a migrated database, or None for the world in memory."""
    return str(request.getfixturevalue("migrated_dsn")) if request.param == "postgres" else None


@pytest.fixture
async def world(world_dsn: str | None) -> AsyncIterator[World]:
    """An empty service; the test runs once in memory and once on Postgres."""
    if world_dsn is None:
        yield MemoryWorld()
        return
    async for each in _postgres_world(world_dsn):
        yield each


@pytest.fixture
async def postgres_world(migrated_dsn: str) -> AsyncIterator[PostgresWorld]:
    """An empty service on Postgres, for what memory has no twin of."""
    async for each in _postgres_world(migrated_dsn):
        yield each


async def _postgres_world(dsn: str) -> AsyncIterator[PostgresWorld]:
    database = Database(dsn, DatabaseOptions(application_name="poplar-test", connections=24))
    await database.open()
    owner = await asyncpg.connect(dsn)
    try:
        yield PostgresWorld(database, owner)
    finally:
        await owner.close()
        await database.close()
