"""A Postgres in whose time zone summer time began or ended: retention and restoring know days of 24 hours alone. G1.

RFC 2449 §6.7 (EXPIRE).
"""

from calendar import isleap
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from service.model.trail import NO_TRAIL
from service.stores.postgres.database import Database, DatabaseOptions
from service.stores.postgres.tenancy import postgres_tenancy
from tests.stores.test_undo import ALICE, FENCE, WEEK
from tests.stores.worlds import PostgresWorld, deliver, message, one_maildrop

HALF_AN_HOUR = timedelta(minutes=30)
FIVE_DAYS = "SELECT extract(epoch FROM now() - (now() - interval '5 days'))::integer"


def zone(began: int, ended: int) -> str:
    """A time zone whose summer time began and ended so many days ago, as POSIX has it: without 29 February."""
    first, last = (datetime.now(UTC) - timedelta(days=days) for days in (began, ended))
    days = [each.timetuple().tm_yday - (isleap(each.year) and each.month > 2) for each in (first, last)]
    return "STD0DST-1,J{}/0,J{}/0".format(*days)


@pytest.fixture(params=[(100, 3), (3, -100)], ids=["ended", "began"])
async def world(request: pytest.FixtureRequest, migrated_dsn: str) -> AsyncIterator[PostgresWorld]:
    """Three days ago summer time ended, or began; behind a pooler that takes no settings."""
    owner = await asyncpg.connect(migrated_dsn)
    name = await owner.fetchval("SELECT current_database()")
    await owner.execute(f"ALTER DATABASE \"{name}\" SET timezone = '{zone(*request.param)}'")
    database = Database(migrated_dsn, DatabaseOptions(server_limits=False))
    await database.open()
    try:
        assert abs((await database.read(FIVE_DAYS))[0][0] - 5 * 24 * 3600) == 3600
        yield PostgresWorld(database, owner)
    finally:
        await owner.close()
        await database.close()


async def test_a_message_can_be_restored_for_days_of_24_hours(world: PostgresWorld) -> None:
    key = await one_maildrop(world)
    await deliver(world, key, message())
    await world.index.open(key, FENCE)
    await world.index.remove(key, FENCE, [1], NO_TRAIL)
    await world.pass_days(5)
    [removed] = await postgres_tenancy(world.database).removed_messages.newest("acme", ALICE, WEEK, 10)
    assert removed.restorable_until - removed.removed_at == WEEK


@pytest.mark.parametrize("policy", ["expire_days", "retrieved_days"])
async def test_retention_is_days_of_24_hours(world: PostgresWorld, policy: str) -> None:
    key = await one_maildrop(world, {policy: 7})
    week_ago = datetime.now(UTC) - WEEK
    early, late = (message(received=week_ago + by) for by in (-HALF_AN_HOUR, HALF_AN_HOUR))
    await deliver(world, key, early, late)
    await world.owner.execute("UPDATE messages SET retrieved_at = received")
    assert await world.sweepable.expire(10) == 1
    assert list((await world.index.listing(key, await world.index.open(key, FENCE))).sequences) == [2]


async def test_a_connection_that_takes_settings_counts_in_utc(world: PostgresWorld, migrated_dsn: str) -> None:
    database = Database(migrated_dsn)
    await database.open()
    try:
        assert (await database.read(FIVE_DAYS))[0][0] == 5 * 24 * 3600
    finally:
        await database.close()
