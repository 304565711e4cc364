"""The shared fixtures give each test a world of its own, on the event loop it asked for; what is dear starts once."""

import asyncio
import os
import subprocess
import sys
import time
from itertools import groupby
from pathlib import Path

import asyncpg
import pytest
import redis

from tests.backends import places
from tests.backends.grouping import in_turn


@pytest.mark.parametrize("turn", [1, 2])
async def test_each_test_gets_a_database_nobody_wrote_to(postgres_dsn: str, turn: int) -> None:
    connection = await asyncpg.connect(postgres_dsn)
    await connection.execute("CREATE TABLE mine AS SELECT 1")
    await connection.close()
    assert turn


def test_what_a_dead_process_left_in_memory_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places, "MEMORY", tmp_path)
    monkeypatch.setattr(places, "ROOM", 0)
    with subprocess.Popen(["true"]) as dead:
        pass
    left, kept = tmp_path / f"poplar-tests-{dead.pid}-left", tmp_path / f"poplar-tests-{os.getpid()}-kept"
    for folder in (left, kept):
        (folder / "data").mkdir(parents=True)
    with places.short_lived(tmp_path / "usual") as own:
        assert own.parent == tmp_path
        assert not left.exists()
    assert [folder.name for folder in tmp_path.iterdir()] == [kept.name]


def test_without_room_in_memory_the_usual_folder_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places, "ROOM", 2**60)
    with places.short_lived(tmp_path) as own:
        assert own == tmp_path


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


def by_two_processes(tests: Path) -> "subprocess.Popen[str]":
    """A run of the tests in a folder, as `make suite` runs these."""
    how = ["-n", "2", "--dist", "loadgroup", "--max-worker-restart", "0"]
    command = [sys.executable, "-m", "pytest", "-q", *how, "--rootdir", "."]
    # What a process of this run is told by its environment is no affair of that one.
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    environment = inherited | {"PYTHONPATH": str(Path.cwd())}
    return subprocess.Popen(
        command, cwd=tests, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def test_a_group_is_kept_in_one_process(tmp_path: Path) -> None:
    for name in ("test_one.py", "test_other.py"):
        (tmp_path / name).write_text(FOUR_OF_A_GROUP, "utf-8")
    with by_two_processes(tmp_path) as run:
        told, _ = run.communicate(timeout=90)
    assert run.returncode == 0, told
    said = (tmp_path / "said").read_text("utf-8").split()
    assert len(said) == 8
    assert len(set(said)) == 1


NEVER_ENDING = """
import asyncio
import pytest

async def for_what_never_comes():
    while True:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            pass

@pytest.mark.timeout(1)
def test_swallows():
    while True:
        try:
            asyncio.run(for_what_never_comes())
        except BaseException:
            pass

def test_of_another():
    pass
"""
WATCHED = """
import os
import pytest
from tests.backends import hanging

hanging.GRACE = 1.0
pytest_configure = hanging.watch

@pytest.hookimpl(trylast=True)
def pytest_runtest_logstart(nodeid):
    # The process that hands tests out has heard of it, and its plugin before this.
    if "swallows" in nodeid and "PYTEST_XDIST_WORKER" not in os.environ:
        open("begun", "w").close()
"""


def test_a_test_that_never_ends_says_where_it_is_and_ends_the_run(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(WATCHED, "utf-8")
    (tmp_path / "test_one.py").write_text(NEVER_ENDING, "utf-8")
    with by_two_processes(tmp_path) as run:
        told, _ = run.communicate(timeout=90)
    assert "test_one.py::test_swallows did not end though it was stopped." in told
    assert "in for_what_never_comes" in told
    assert "1 failed" in told


def test_a_run_that_is_told_to_end_says_what_was_at_work(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(WATCHED, "utf-8")
    (tmp_path / "test_one.py").write_text(NEVER_ENDING.replace("timeout(1)", "timeout(100)"), "utf-8")
    with by_two_processes(tmp_path) as run:
        while not (tmp_path / "begun").exists():
            time.sleep(0.05)
        run.terminate()
        told, _ = run.communicate(timeout=90)
    assert "Told to end while these were tested:\n  test_one.py::test_swallows\n" in told
