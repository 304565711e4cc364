"""Two Postgres servers, of which one follows the other synchronously: what one answered, the other has.

Owns which one is the primary, the failover and the making anew of a standby. The old primary is fenced before the other
one is promoted: all its processes are killed. Refuses to know who connects. Nothing is synced to disk, so that only the
death of processes is survived, not the machine's.
"""

import asyncio
import os
import shutil
import signal
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from service.embedded.postgres_data import OWNER, clear_stale_lock, initialise, owner_password
from service.embedded.postgres_program import command
from service.embedded.process import free_port, spawn, stop, tail
from tests.backends.demo import all_gone, offspring
from tests.backends.pausing import pause
from tests.faults.campaign.waiting import until, until_told

SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "120",
    "shared_buffers": "64MB",
    "fsync": "off",
    "wal_level": "replica",
    "hot_standby": "on",
    "max_wal_senders": "8",
    # A follower looks for its primary again at once, so that a restart of the primary is not longer for its sake.
    "wal_retrieve_retry_interval": "200ms",
    "wal_receiver_timeout": "10s",
    "timezone": "UTC",
    "log_timezone": "UTC",
}
FOLLOWS = "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'"
IN_STEP = "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'"
NOBODY = "ALTER SYSTEM SET synchronous_standby_names = ''"
WHOEVER = "ALTER SYSTEM SET synchronous_standby_names = '*'"


@dataclass
class Node:
    """One server: its folder, its port for good, and its process."""

    folder: Path
    port: int
    _process: "subprocess.Popen[bytes] | None" = None

    @property
    def process(self) -> "subprocess.Popen[bytes]":
        assert self._process is not None, "it was never started"
        return self._process

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def all_of_it(self) -> list[int]:
        return [self.process.pid, *offspring(self.process.pid)]

    def is_ready(self) -> bool:
        """Whether it takes connections. Raises RuntimeError once it has ended."""
        if self.process.poll() is not None:
            raise RuntimeError(f"Postgres ended: {tail(self.folder / 'log')}")
        with suppress(OSError):
            lines = (self.data / "postmaster.pid").read_text().splitlines()
            return len(lines) >= 8 and lines[0] == str(self.process.pid) and lines[7].strip() == "ready"
        return False

    def start(self, line: list[str]) -> None:
        self._process = spawn(line, self.folder, self.folder / "log")

    def pause(self) -> None:
        """Stop all its processes in their tracks."""
        for pid in self.all_of_it:
            with suppress(ProcessLookupError):
                pause(pid)

    def go_on(self) -> None:
        for pid in self.all_of_it:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)

    async def kill(self) -> None:
        """End every process of it at once, and wait until none is left."""
        pids = self.all_of_it
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()
        assert await asyncio.to_thread(all_gone, set(pids))


class Cluster:
    """The primary and its standby, below `folder`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._nodes = 0
        self.primary: Node
        self.standby: Node | None = None
        self.failovers = 0

    async def start(self) -> None:
        """Make the primary, then its standby."""
        folder = self._next()
        self._password = owner_password(folder / "password")
        initialise(folder, durable=False)
        self.primary = await self._run(Node(folder, free_port()))
        await self.follow()

    def dsn(self, database: str = "poplar", port: int = 0) -> str:
        """The owner's, by way of `port`, or straight to the primary of now."""
        return f"postgresql://{OWNER}:{self._password}@127.0.0.1:{port or self.primary.port}/{database}"

    async def follow(self) -> None:
        """Make a new standby of the primary, and wait for it from then on before any write is answered."""
        folder = self._next()
        await self._copied_to(folder / "data")
        settings = folder / "data" / "postgresql.auto.conf"
        kept = [line for line in settings.read_text().splitlines() if not line.startswith("synchronous_standby_names")]
        settings.write_text("\n".join([*kept, ""]))
        self.standby = await self._run(Node(folder, free_port()))
        await self._until(FOLLOWS)
        await self.say(WHOEVER, "SELECT pg_reload_conf()")
        await self._until(IN_STEP)

    async def fail_over(self) -> None:
        """Fence the primary, promote the standby; until `follow` nobody follows it."""
        old, new = self.primary, self.standby
        assert new is not None, "no standby to fail over to"
        await old.kill()
        os.kill(new.process.pid, signal.SIGCONT)
        done = await asyncio.to_thread(self._tool, "pg_ctl", "promote", "-w", "-t", "60", "-D", str(new.data))
        assert done.returncode == 0, done.stderr
        self.primary, self.standby = new, None
        self.failovers += 1
        shutil.rmtree(old.folder, ignore_errors=True)

    async def gone(self, node: Node) -> None:
        """Return once a server that was told to end has ended."""
        await until(lambda: node.process.poll() is not None, "Postgres to end")

    async def restart_primary(self) -> None:
        """Start the primary again where it was."""
        clear_stale_lock(self.primary.data)
        await self._run(self.primary)

    async def in_step(self) -> None:
        """Return once the standby has all that the primary answered."""
        await self._until(IN_STEP)

    async def say(self, *statements: str) -> None:
        """Run statements at the primary as its owner, each by itself."""
        connection = await asyncpg.connect(self.dsn("postgres"), timeout=30)
        try:
            for statement in statements:
                await connection.execute(statement, timeout=60)
        finally:
            await connection.close()

    def end(self) -> None:
        """Stop both for good."""
        for node in (self.standby, getattr(self, "primary", None)):
            if node is not None and node.process.poll() is None:
                node.go_on()
                stop(node.process, signal.SIGINT)

    def _next(self) -> Path:
        self._nodes += 1
        folder = self._folder / f"postgres-{self._nodes}"
        folder.mkdir(parents=True)
        return folder

    async def _copied_to(self, data: Path) -> None:
        """A copy of the primary that knows where to follow it."""
        arguments = ["-D", str(data), "-R", "-X", "stream", "--checkpoint=fast", "--no-sync"]
        arguments += ["-h", "127.0.0.1", "-p", str(self.primary.port), "-U", OWNER, "-w"]
        _like(self.primary.data, data)
        done = await asyncio.to_thread(self._tool, "pg_basebackup", *arguments)
        assert done.returncode == 0, done.stderr

    def _tool(self, name: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
        environment = {**os.environ, "PGPASSWORD": self._password}
        return subprocess.run(
            command(name, arguments), env=environment, cwd=self._folder, capture_output=True, text=True, check=False
        )

    async def _run(self, node: Node) -> Node:
        settings = [f"--{key}={value}" for key, value in (SETTINGS | {"port": str(node.port)}).items()]
        arguments = ["-D", str(node.data), *settings]
        node.start(command("postgres", arguments))
        await until(node.is_ready, f"Postgres on port {node.port}")
        return node

    async def _until(self, question: str) -> None:
        connection = await asyncpg.connect(self.dsn("postgres"), timeout=30)
        try:
            await until_told(lambda: connection.fetchval(question, timeout=30))
        finally:
            await connection.close()


def _like(folder: Path, other: Path) -> None:
    """Make an empty folder that belongs to the owner of this one."""
    other.mkdir(mode=0o700)
    owner = folder.stat()
    os.chown(other, owner.st_uid, owner.st_gid)
