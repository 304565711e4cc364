"""A database under another owner than the one that migrated it, as a dump is that was restored with --no-owner.

Row-level security is forced, and its policies name roles: who isn't among them sees no row, and gets no error. G14.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import pytest

from service.model.refusal import Refusal
from service.stores.postgres.checkup import check_up
from service.stores.postgres.database import Database
from service.stores.postgres.index import PostgresMessageIndex
from service.stores.postgres.migrate import migrate
from service.stores.postgres.rights import ROW_SECURITY
from tests.stores.test_migrations import as_login, login_dsn
from tests.stores.worlds import PostgresWorld, deliver, message, one_maildrop

FENCE = b"\x01" * 16
TABLES = "SELECT relname::text FROM pg_class WHERE relforcerowsecurity AND relnamespace = 'public'::regnamespace"


@asynccontextmanager
async def another_owner(dsn: str) -> AsyncIterator[str]:
    """The DSN of a login without powers that owns the database and all that is in it from now on."""
    connection = await asyncpg.connect(dsn)
    database = await connection.fetchval("SELECT current_database()")
    heir = f"heir_{database}"
    await connection.execute(f"CREATE ROLE {heir} LOGIN PASSWORD 'x'")
    await connection.execute(f"ALTER DATABASE {database} OWNER TO {heir}")
    for kind, names in (
        ("TABLE", "SELECT oid::regclass::text FROM pg_class WHERE relkind = 'r' AND relnamespace = $1::regnamespace"),
        ("FUNCTION", "SELECT oid::regprocedure::text FROM pg_proc WHERE pronamespace = $1::regnamespace"),
    ):
        for (name,) in await connection.fetch(names, "public"):
            await connection.execute(f"ALTER {kind} {name} OWNER TO {heir}")
    try:
        yield login_dsn(dsn, heir, "x")
    finally:
        await connection.execute(f"REASSIGN OWNED BY {heir} TO CURRENT_USER")
        await connection.execute(f"DROP OWNED BY {heir}")
        await connection.execute(f"DROP ROLE {heir}")
        await connection.close()


async def removes(front: Database, world: PostgresWorld) -> bool:
    """Whether a session's QUIT removes its message."""
    key = next(iter(await world.maildrops()))
    index = PostgresMessageIndex(front)
    await index.open(key, FENCE)
    try:
        await index.remove(key, FENCE, [1])
    except Refusal:
        return False
    return True


async def test_g14_a_migration_lets_a_new_owner_through_row_security_once_and_for_all(
    postgres_world: PostgresWorld, migrated_dsn: str
) -> None:
    key = await one_maildrop(postgres_world)
    await deliver(postgres_world, key, message())
    front = await as_login(migrated_dsn, "poplar_front")
    assert (await check_up(front, "front")).shut_out == ()
    async with another_owner(migrated_dsn) as heirs_dsn:
        assert not await removes(front, postgres_world)
        (shut_out,) = (await check_up(front, "front")).shut_out
        assert f"//{shut_out}:" in heirs_dsn
        assert [await migrate(heirs_dsn) for _ in range(2)] == [[ROW_SECURITY], []]
        assert (await check_up(front, "front")).shut_out == ()
        assert await removes(front, postgres_world)
        await front.close()


async def test_g14_a_migration_makes_the_policies_that_a_restore_could_not(
    postgres_world: PostgresWorld, migrated_dsn: str
) -> None:
    """It named a role that isn't in this cluster: the table is there, and nobody sees its rows."""
    key = await one_maildrop(postgres_world)
    await deliver(postgres_world, key, message())
    front = await as_login(migrated_dsn, "poplar_front")
    before = await policies(postgres_world)
    async with another_owner(migrated_dsn) as heirs_dsn:
        for (table,) in await postgres_world.owner.fetch(TABLES):
            await postgres_world.owner.execute(f"DROP POLICY processes ON {table}")
        assert len((await check_up(front, "front")).shut_out) == 2
        assert await migrate(heirs_dsn) == [ROW_SECURITY]
        assert await removes(front, postgres_world)
        assert (await policies(postgres_world)).keys() == before.keys()
        await front.close()


async def policies(world: PostgresWorld) -> dict[tuple[str, str], str]:
    rows = await world.owner.fetch("SELECT tablename::text, policyname::text, qual FROM pg_policies")
    return {(row[0], row[1]): row[2] for row in rows}


@pytest.mark.parametrize("group", ["poplar_front", "poplar_lmtp", "poplar_sweep", "poplar_api"])
async def test_row_security_shuts_no_process_out_of_a_database_that_was_migrated(migrated_dsn: str, group: str) -> None:
    database = await as_login(migrated_dsn, group)
    assert (await check_up(database, group.removeprefix("poplar_"))).shut_out == ()
    await database.close()
