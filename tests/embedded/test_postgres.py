"""The embedded Postgres starts whatever the last run left behind, and ends with whoever started it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import asyncpg
import pytest

from service.embedded.postgres import running_postgres
from service.embedded.process import EmbeddedError

HOLDER = """
import sys, time
from pathlib import Path
from service.embedded.postgres import running_postgres
with running_postgres(Path(sys.argv[1]), durable=True) as server:
    print(server.pid, flush=True)
    time.sleep(600)
"""


async def fetch(dsn: str, query: str) -> object:
    connection = await asyncpg.connect(dsn)
    try:
        return await connection.fetchval(query)
    finally:
        await connection.close()


def gone(pid: int, seconds: float = 20.0) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if not Path(f"/proc/{pid}").exists():
            return True
        time.sleep(0.05)
    return False


async def test_it_is_postgres_18_with_utf8_and_scram(tmp_path: Path) -> None:
    with running_postgres(tmp_path / "pg", durable=False) as server:
        assert str(await fetch(server.dsn(), "SHOW server_version")).startswith("18.")
        assert await fetch(server.dsn(), "SHOW server_encoding") == "UTF8"
        with pytest.raises(asyncpg.InvalidPasswordError):
            await fetch(server.dsn(password="wrong"), "SELECT 1")


async def test_data_outlives_a_restart_on_the_same_state(tmp_path: Path) -> None:
    with running_postgres(tmp_path / "pg", durable=True) as server:
        await fetch(server.dsn(), "CREATE TABLE kept AS SELECT 42 AS n")
    with running_postgres(tmp_path / "pg", durable=True) as server:
        assert await fetch(server.dsn(), "SELECT n FROM kept") == 42


def test_it_is_gone_once_stopped(tmp_path: Path) -> None:
    with running_postgres(tmp_path / "pg", durable=False) as server:
        assert Path(f"/proc/{server.pid}").exists()
    assert not Path(f"/proc/{server.pid}").exists()


def start_and_kill_the_parent(state: Path) -> int:
    with subprocess.Popen([sys.executable, "-c", HOLDER, str(state)], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        pid = int(holder.stdout.readline())
        holder.kill()
    return pid


async def test_it_ends_when_its_parent_is_killed_and_the_next_start_works(tmp_path: Path) -> None:
    assert gone(start_and_kill_the_parent(tmp_path / "pg"))
    with running_postgres(tmp_path / "pg", durable=True) as server:
        assert await fetch(server.dsn(), "SELECT 1") == 1


async def test_a_crash_leaves_a_state_that_starts_again(tmp_path: Path) -> None:
    with running_postgres(tmp_path / "pg", durable=True) as server:
        os.kill(server.pid, signal.SIGKILL)
    with running_postgres(tmp_path / "pg", durable=True) as server:
        assert await fetch(server.dsn(), "SELECT 1") == 1


async def test_a_lock_file_naming_a_living_stranger_does_not_block(tmp_path: Path) -> None:
    with running_postgres(tmp_path / "pg", durable=False):
        lock = (tmp_path / "pg" / "data" / "postmaster.pid").read_text().splitlines()
    lock[0] = str(os.getpid())
    (tmp_path / "pg" / "data" / "postmaster.pid").write_text("\n".join(lock))
    with running_postgres(tmp_path / "pg", durable=False) as server:
        assert await fetch(server.dsn(), "SELECT 1") == 1


async def test_a_setup_that_was_interrupted_is_done_again(tmp_path: Path) -> None:
    (tmp_path / "pg" / "data.new").mkdir(parents=True)
    (tmp_path / "pg" / "data.new" / "PG_VERSION").write_text("half")
    with running_postgres(tmp_path / "pg", durable=False) as server:
        assert await fetch(server.dsn(), "SELECT 1") == 1


def test_a_missing_setpriv_is_explained_to_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if os.geteuid() != 0:
        pytest.skip("an ordinary user needs no setpriv")
    monkeypatch.setenv("PATH", "")
    with pytest.raises(EmbeddedError, match="Install util-linux, or run this as an ordinary user"):
        running_postgres(tmp_path / "pg", durable=False).__enter__()
