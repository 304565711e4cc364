"""The shared fixtures give each test a world of its own, on the event loop it asked for; what is dear starts once."""

import asyncio
import subprocess
import sys
from itertools import groupby
from pathlib import Path

import asyncpg
import pytest
import redis

from tests.backends.grouping import in_turn


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


def test_every_test_has_its_turn_and_no_group_is_torn_apart(request: pytest.FixtureRequest) -> None:
    items = list(in_turn(request.session.items))
    assert sorted(map(id, items)) == sorted(map(id, request.session.items))
    markers = [item.get_closest_marker("xdist_group") for item in items]
    groups = [name for name, _ in groupby(marker.args[0] if marker else "" for marker in markers) if name]
    assert len(groups) == len(set(groups))


FOUR_OF_A_GROUP = """
import pytest

@pytest.mark.xdist_group("dear")
@pytest.mark.parametrize("turn", [1, 2, 3, 4])
def test_says_its_process(worker_id, turn):
    with open("said", "a") as said:
        said.write(worker_id + chr(10))
"""


def test_a_group_is_kept_in_one_process(tmp_path: Path) -> None:
    for name in ("test_one.py", "test_other.py"):
        (tmp_path / name).write_text(FOUR_OF_A_GROUP, "utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-n", "2", "--dist", "loadgroup", "--rootdir", "."]
    done = subprocess.run(command, check=False, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    said = (tmp_path / "said").read_text("utf-8").split()
    assert len(said) == 8
    assert len(set(said)) == 1
