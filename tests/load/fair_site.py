"""Two tenants with mail in a real front end, for the measure of fair shares.

Owns the backends, the accounts and messages, and the front end's process. Refuses to know who connects and what for.
"""

import asyncio
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import yaml

from service.stores.passwords import Argon2Hashes
from service.stores.postgres.migrate import migrate
from tests.backends.postgres import postgres
from tests.backends.valkey import valkey

SECRET = "correct horse battery staple"
TENANTS = ("heavy", "light")

ACCOUNTS = """
WITH t AS (INSERT INTO tenants (tenant_id, name) VALUES ($1, $2) RETURNING tenant_id),
     d AS (INSERT INTO domains (tenant_id, name) SELECT tenant_id, $2 || '.example' FROM t RETURNING tenant_id),
     m AS (
         INSERT INTO maildrops (tenant_id, maildrop_id, domain, local, messages, octets, next_sequence)
         SELECT tenant_id, gen_random_uuid(), $2 || '.example', $3 || n, $5, $5 * $6::bigint, $5 + 1
         FROM d, generate_series(0, $4::int - 1) AS n
         RETURNING tenant_id, maildrop_id
     ),
     c AS (
         INSERT INTO credentials (tenant_id, maildrop_id, credential_id, verifier, label)
         SELECT tenant_id, maildrop_id, gen_random_uuid(), $7, 'main' FROM m
     )
INSERT INTO messages (tenant_id, maildrop_id, sequence, octets, header_octets, received, unique_id, dotted, sha256,
                      blob_key)
SELECT tenant_id, maildrop_id, n, $6, $8, now(), gen_random_uuid(), false, $9, $10
FROM m, generate_series(1, $5::bigint) AS n
"""
MORE = ACCOUNTS.replace("INSERT INTO tenants (tenant_id, name) VALUES ($1, $2) RETURNING tenant_id",
                        "SELECT $1::uuid AS tenant_id").replace(
    "INSERT INTO domains (tenant_id, name) SELECT tenant_id, $2 || '.example' FROM t RETURNING tenant_id",
    "SELECT tenant_id FROM t")  # fmt: skip


@dataclass(frozen=True)
class Mail:
    """What each maildrop of one kind holds."""

    local: str
    maildrops: int
    messages: int
    octets: int


@dataclass(frozen=True)
class Site:
    port: int
    http: str
    pid: int


KINDS = (Mail("user", 1024, 20, 8_000), Mail("large", 160, 8, 900_000), Mail("long", 160, 5_000, 2_000))


@asynccontextmanager
async def site(settings: dict[str, Any], core: int) -> AsyncIterator[Site]:
    """A front end in a process and on a core of its own, with these settings beside its own, over fresh backends."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        # Where root runs this, Postgres is another user.
        await asyncio.to_thread(folder.chmod, 0o755)
        with postgres(folder / "postgres") as server, valkey(folder / "valkey") as redis:
            await migrate(server.dsn())
            await _furnish(server.dsn(), folder / "blobs")
            listener = {"name": "test", "protocol": "pop3", "host": "127.0.0.1", "port": 0, "tls": "terminated"}
            values: dict[str, Any] = {
                "database": {"url": server.dsn()},
                "redis": {"url": redis, "deadline": 5.0},
                "object_store": {"url": (folder / "blobs").as_uri()},
                "listeners": [listener],
                "http": {"host": "127.0.0.1", "port": 0},
                "pop3": {"failure_delay": 0.05},
                "logging": {"format": "json", "level": "info"},
            }
            for section, more in settings.items():
                values[section] = {**values.get(section, {}), **more}
            with _front_end(folder, values, core) as site:
                yield site


async def _furnish(dsn: str, blobs: Path) -> None:
    hashes = Argon2Hashes(threads=1)
    verifier = await hashes.hash(SECRET)
    hashes.close()
    connection = await asyncpg.connect(dsn)
    for number, tenant in enumerate(TENANTS, 1):
        tenant_id = f"00000000-0000-0000-0000-{number:012}"
        for kind in KINDS if tenant == "heavy" else KINDS[:1]:
            text = _letter(kind.octets)
            key = f"{tenant_id.replace('-', '')}/2026/01/01/{kind.local}"
            (blobs / key).parent.mkdir(parents=True, exist_ok=True)
            (blobs / key).write_bytes(text)
            values = (tenant_id, tenant, kind.local, kind.maildrops, kind.messages, len(text), verifier)
            digest = hashlib.sha256(text).digest()
            statement = ACCOUNTS if kind is KINDS[0] else MORE
            await connection.execute(statement, *values, text.index(b"\r\n\r\n") + 4, digest, key, timeout=600)
    await connection.execute("ANALYZE")
    await connection.close()


def _letter(octets: int) -> bytes:
    head = b"From: a@a.example\r\nSubject: load\r\n\r\n"
    line = b"x" * 76 + b"\r\n"
    return head + line * ((octets - len(head)) // len(line))


@contextmanager
def _front_end(folder: Path, values: dict[str, Any], core: int) -> Iterator[Site]:
    path, log = folder / "poplar.yaml", folder / "log"
    path.write_text(yaml.safe_dump(values), "utf-8")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("POPLAR_")}
    command = [sys.executable, "-m", "service", "--config", str(path), "serve"]
    with log.open("w") as told, subprocess.Popen(command, env=environment, stderr=told, stdout=told) as process:
        os.sched_setaffinity(process.pid, {core})
        try:
            yield _serving(process, log)
        finally:
            process.terminate()
            process.wait(60)
            sys.stdout.write(
                "".join(line for line in log.read_text().splitlines(keepends=True) if '"heavy tenant"' in line)[-1000:]
            )


def _serving(process: "subprocess.Popen[bytes]", log: Path) -> Site:
    end = time.monotonic() + 60
    while time.monotonic() < end and process.poll() is None:
        for line in log.read_text().splitlines():
            if '"serving"' in line:
                said = json.loads(line)
                port = int(str(said["listeners"]["test"]).rpartition(":")[2])
                return Site(port, str(said["http"]), process.pid)
        time.sleep(0.05)
    raise AssertionError(log.read_text())
