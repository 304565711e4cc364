"""Where drills take place: a demo whose Postgres and Valkey may be ended and begun again, and an S3 server to harm.

Owns these mishaps and their end. Poplar's processes with a fault of their own are made by each drill.
"""

import asyncio
import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg

from service.embedded.postgres import running_postgres
from service.embedded.process import spawn, stop
from service.embedded.valkey import binary
from service.settings import Settings, load_settings
from tests.backends.demo import Place, RunningDemo, demo_on, offspring
from tests.backends.s3 import ACCESS, BUCKET, SECRET, S3Server, start_s3
from tests.cli.conftest import await_true
from tests.deploy.site import PASSWORD
from tests.faults.site import answers
from tests.system.clients.maildrop import Maildrop, new_maildrop


@dataclass
class Ground:
    """The demo, and what may be done to the systems it stands on."""

    folder: Path
    demo: RunningDemo
    stack: ExitStack
    _serial: Iterator[int] = field(default_factory=count)

    @property
    def config(self) -> Path:
        """The demo's settings."""
        return self.demo.state / "state" / "poplar.yaml"

    @property
    def settings(self) -> Settings:
        return load_settings(self.config)

    @property
    def ops(self) -> Place:
        """Where the demo's own metrics are."""
        parts = urlsplit(str(self.demo.ready["http"]))
        return Place(parts.hostname or "127.0.0.1", parts.port or 0)

    def fresh(self, name: str) -> Path:
        """A folder that nobody has used."""
        folder = self.folder / f"{name}-{next(self._serial)}"
        folder.mkdir(parents=True)
        return folder

    def maildrops(self, count: int) -> list[Maildrop]:
        """So many new and empty ones."""
        return [new_maildrop(self.demo, PASSWORD) for _ in range(count)]

    def sql(self, statement: str) -> list[dict[str, Any]]:
        """What the database's owner is answered."""
        return asyncio.run(_asked(self.settings.database.url_for("owner"), statement))

    def end_postgres(self) -> None:
        """End it as a crash does."""
        data = self.demo.state / "state" / "postgres" / "data"
        pid = int((data / "postmaster.pid").read_text().splitlines()[0])
        os.kill(pid, signal.SIGQUIT)
        await_true(lambda: not (data / "postmaster.pid").exists(), "Postgres to be gone")

    def begin_postgres(self) -> None:
        """Start it on its port again, with what it had committed."""
        folder = self.demo.state / "state" / "postgres"
        port = urlsplit(self.settings.database.url_for("owner")).port or 0
        self.stack.enter_context(running_postgres(folder, durable=True, port=port))

    @property
    def valkey_pid(self) -> int:
        """The server's process."""
        found = {pid for pid in offspring(os.getpid()) if b"valkey-server" in _command_line(pid)}
        return found.pop()

    def end_valkey(self) -> None:
        """End it at once."""
        url = self.settings.redis.url.get_secret_value()
        os.kill(self.valkey_pid, signal.SIGKILL)
        await_true(lambda: not answers(url), "Valkey to be gone")

    def begin_valkey(self) -> None:
        """Start it on its port again."""
        folder = self.demo.state / "state" / "valkey"
        process = spawn([str(binary()), str(folder / "valkey.conf")], folder, folder / "valkey.log")
        self.stack.callback(stop, process, signal.SIGTERM)
        await_true(lambda: answers(self.settings.redis.url.get_secret_value()), "Valkey to answer")

    @cached_property
    def s3(self) -> S3Server:
        """An S3 server with an empty bucket."""
        server = start_s3(self.fresh("s3"))
        self.stack.callback(server.end)
        return server

    def object_store(self, deadline: float = 1.0) -> dict[str, object]:
        """Settings that keep mail in it, under a prefix of its own; of short patience, so that drills are."""
        return {
            "url": f"s3://{BUCKET}/drill-{next(self._serial)}",
            "endpoint": self.s3.endpoint,
            "region": "us-east-1",
            "access_key": ACCESS,
            "secret_key": SECRET,
            "allow_http": True,
            "deadline": deadline,
            "connect_timeout": deadline,
            "retries": 0,
        }


def _command_line(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[0]
    except OSError:
        return b""


async def _asked(dsn: str, statement: str) -> list[dict[str, Any]]:
    connection = await asyncpg.connect(dsn, timeout=30)
    try:
        return [dict(row) for row in await connection.fetch(statement, timeout=120)]
    finally:
        await connection.close()


@contextmanager
def ground(folder: Path) -> Iterator[Ground]:
    """The demo, ready."""
    with ExitStack() as stack, demo_on(folder / "demo") as demo:
        yield Ground(folder, demo, stack)
