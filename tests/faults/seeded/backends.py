"""Postgres and Valkey beneath a stage, for defects in what speaks to them."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import asyncpg
import redis

from service.stores.postgres.database import Database, DatabaseOptions
from service.stores.redis import Limits, RedisMaildropLocks
from tests.faults.seeded.stage import Clock, Stores
from tests.stores.worlds import PostgresWorld

PATIENT = Limits(deadline=30.0)
"""No scenario on these waits for a deadline, and a busy machine must not look like a Redis that is away."""


def on_servers(dsn: str, redis_url: str) -> Callable[[Clock], AbstractAsyncContextManager[Stores]]:
    """Stores on a migrated database and an empty Valkey; blobs stay in memory."""

    @asynccontextmanager
    async def made(_: Clock) -> AsyncIterator[Stores]:
        database = Database(dsn, DatabaseOptions(application_name="seeded", connections=4))
        locks = RedisMaildropLocks(redis_url, limits=PATIENT)
        await database.open()
        owner = await asyncpg.connect(dsn)
        with redis.Redis.from_url(redis_url) as client:
            client.flushall()
            yield Stores(PostgresWorld(database, owner), locks, lambda: client.flushall() and None, owner)
        await owner.close()
        await locks.aclose()
        await database.close()

    return made
