"""The shared fixtures give each test a world of its own, on the event loop it asked for."""

import asyncio

import asyncpg
import pytest
import redis


@pytest.mark.parametrize("turn", [1, 2])
async def test_each_test_gets_a_database_nobody_wrote_to(postgres_dsn: str, turn: int) -> None:
    connection = await asyncpg.connect(postgres_dsn)
    await connection.execute("CREATE TABLE mine AS SELECT 1")
    await connection.close()
    assert turn


@pytest.mark.parametrize("turn", [1, 2])
def test_each_test_gets_an_empty_valkey(redis_url: str, turn: int) -> None:
    with redis.Redis.from_url(redis_url) as client:
        assert client.incr("counter") == 1
    assert turn


@pytest.mark.asyncio(loop_factories=["asyncio", "uvloop"])
async def test_a_test_runs_on_the_loops_it_names(request: pytest.FixtureRequest) -> None:
    wanted = "uvloop" if "uvloop" in request.node.name else "asyncio"
    assert type(asyncio.get_running_loop()).__module__.startswith(wanted)


@pytest.mark.parametrize("turn", [1, 2])
async def test_a_migrated_database_has_tables_and_no_tenant(migrated_dsn: str, turn: int) -> None:
    connection = await asyncpg.connect(migrated_dsn)
    assert await connection.fetchval("SELECT count(*) FROM tenants") == 0
    await connection.execute("INSERT INTO tenants (tenant_id, name) VALUES (gen_random_uuid(), 'one')")
    await connection.close()
    assert turn
