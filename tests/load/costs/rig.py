"""Poplar as a provider runs it, each part in a process of its own, for the measure of what each costs.

Owns the backends, the accounts, the front ends and LMTP. Refuses to know what is done with them. Postgres and Valkey
come from the wheels, since their process ids are needed; the S3 server is the tests' own and keeps a log of requests.
"""

import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
import yaml

from service.embedded.certificate import certificate_files
from service.embedded.postgres import PostgresServer, running_postgres
from service.embedded.valkey import running_valkey
from service.stores.passwords import Argon2Hashes
from service.stores.postgres.migrate import migrate
from tests.backends.s3 import ACCESS, BUCKET, SECRET, S3Server, start_s3
from tests.backends.valkey_group import cluster

PASSWORD = "correct horse battery staple"
TENANTS = 4

ACCOUNTS = """
WITH t AS (INSERT INTO tenants (tenant_id, name) VALUES (gen_random_uuid(), $1) RETURNING tenant_id),
     d AS (INSERT INTO domains (tenant_id, name) SELECT tenant_id, $1 || '.example' FROM t RETURNING tenant_id),
     m AS (
         INSERT INTO maildrops (tenant_id, maildrop_id, domain, local)
         SELECT tenant_id, gen_random_uuid(), $1 || '.example', 'user' || n FROM d, generate_series(0, $2::int - 1) AS n
         RETURNING tenant_id, maildrop_id
     )
INSERT INTO credentials (tenant_id, maildrop_id, credential_id, verifier, label)
SELECT tenant_id, maildrop_id, gen_random_uuid(), $3, 'main' FROM m
"""


@dataclass
class Part:
    """A process of Poplar's and where its listeners are."""

    process: "subprocess.Popen[bytes]"
    log: Path
    ports: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Redises:
    """One Valkey or a cluster of three: how Poplar finds it, each node's own URL, and their processes."""

    url: str
    nodes: tuple[str, ...]
    pids: tuple[int, ...]


@dataclass
class Rig:
    """All parts. `maildrops` is how many each of the tenants has."""

    folder: Path
    postgres: PostgresServer
    redis: "Redises"
    s3: S3Server
    s3_log: Path
    maildrops: int
    stack: ExitStack

    @property
    def filled_ones(self) -> int:
        """How many maildrops get mail at first: all but one of each tenant."""
        return TENANTS * (self.maildrops - 1)

    def filled(self, number: int) -> str:
        """The address of one of them."""
        return self.name(number % self.filled_ones)

    def empty(self, number: int) -> str:
        """The address of one of the others."""
        return self.name(self.filled_ones + number % TENANTS)

    def name(self, number: int) -> str:
        """The address of a maildrop: those of all tenants take turns."""
        return f"user{number // TENANTS % self.maildrops}@t{number % TENANTS}.example"

    def settings(self, **more: Mapping[str, Any]) -> dict[str, Any]:
        """What every part is told."""
        values: dict[str, Any] = {
            "database": {"url": self.postgres.dsn()},
            "redis": {"url": self.redis.url, "deadline": 5.0},
            "object_store": {
                "url": f"s3://{BUCKET}/",
                "endpoint": self.s3.endpoint,
                "access_key": ACCESS,
                "secret_key": SECRET,
                "allow_http": True,
                "region": "us-east-1",
            },
            "tls": {"directory": str(certificate_files(self.folder).folder)},
            "http": {"host": "127.0.0.1", "port": 0},
            "logging": {"format": "json", "level": "info"},
        }
        for section, its in more.items():
            values[section] = {**values.get(section, {}), **its}
        return values

    def serve(self, verb: str, *tls: str, **more: Mapping[str, Any]) -> Part:
        """A front end or LMTP with a listener for each way of `tls`, named so."""
        protocol = "pop3" if verb == "serve" else "lmtp"
        listener = {"protocol": protocol, "host": "127.0.0.1", "port": 0}
        values = self.settings(**more) | {"listeners": [listener | {"name": each, "tls": each} for each in tls]}
        return self.stack.enter_context(_running(self.folder, verb, values))

    def run(self, *words: str, **more: Mapping[str, Any]) -> str:
        """What a command prints that ends by itself."""
        path = self.folder / "once.yaml"
        path.write_text(yaml.safe_dump(self.settings(**more)), "utf-8")
        command = [sys.executable, "-m", "service", "--config", str(path), *words]
        return subprocess.run(command, env=_environment(), check=True, capture_output=True, text=True).stdout


@asynccontextmanager
async def rig(maildrops: int, *, clustered: bool = False) -> AsyncIterator[Rig]:
    """Backends with `maildrops` for each tenant, Redis perhaps a cluster; every part that was started ends with it."""
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        # Where root runs this, Postgres is another user.
        await asyncio.to_thread(folder.chmod, 0o755)
        server = stack.enter_context(running_postgres(folder / "postgres", durable=True))
        redis = _redis(stack, folder / "valkey", clustered=clustered)
        log = folder / "requests"
        s3 = start_s3(folder / "s3", "--access-log", str(log))
        stack.callback(s3.end)
        await migrate(server.dsn())
        await _furnish(server.dsn(), maildrops)
        yield Rig(folder, server, redis, s3, log, maildrops, stack)


def _redis(stack: ExitStack, folder: Path, *, clustered: bool) -> Redises:
    if not clustered:
        server = stack.enter_context(running_valkey(folder, durable=False))
        return Redises(server.url, (server.url,), (server.pid,))
    group = stack.enter_context(cluster(folder))
    nodes = tuple(f"redis://127.0.0.1:{node.port}" for node in group.nodes)
    return Redises(group.url, nodes, tuple(node.process.pid for node in group.nodes))


async def _furnish(dsn: str, maildrops: int) -> None:
    hashes = Argon2Hashes(threads=1)
    verifier = await hashes.hash(PASSWORD)
    hashes.close()
    connection = await asyncpg.connect(dsn)
    for number in range(TENANTS):
        await connection.execute(ACCOUNTS, f"t{number}", maildrops, verifier)
    await connection.execute("ANALYZE")
    await connection.close()


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("POPLAR_")}


@contextmanager
def _running(folder: Path, verb: str, values: dict[str, Any]) -> Iterator[Part]:
    own = Path(tempfile.mkdtemp(dir=folder))
    path, log = own / "poplar.yaml", own / "log"
    path.write_text(yaml.safe_dump(values), "utf-8")
    command = [sys.executable, "-m", "service", "--config", str(path), verb]
    with log.open("w") as told, subprocess.Popen(command, env=_environment(), stderr=told, stdout=told) as process:
        try:
            yield Part(process, log, _ports(process, log))
        finally:
            process.terminate()
            process.wait(60)


def _ports(process: "subprocess.Popen[bytes]", log: Path) -> dict[str, int]:
    end = time.monotonic() + 60
    while time.monotonic() < end and process.poll() is None:
        for line in log.read_text().splitlines():
            if '"serving"' in line:
                listeners = yaml.safe_load(line)["listeners"]
                return {name: int(str(where).rpartition(":")[2]) for name, where in listeners.items()}
        time.sleep(0.05)
    raise AssertionError(log.read_text())
