"""Poplar as it runs in production, over a durable Postgres, a Valkey and a store, with the maildrops to be measured.

Owns the backends, the rows, and the processes `poplar serve` and `poplar lmtp`, each with settings as asked for. Redis
and logs are on, passwords are Argon2id at OWASP's cost, sessions come through the PROXY protocol.
"""

import asyncio
import hashlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
import yaml

from service.embedded.certificate import certificate_files
from service.embedded.postgres import running_postgres
from service.embedded.process import free_port, stop
from service.embedded.valkey import running_valkey
from service.stores.passwords import Argon2Hashes
from service.stores.postgres.migrate import migrate
from tests.load.mail import DOMAIN, SECRET, Kind, link_texts
from tests.load.target import Target

TENANT = "00000000-0000-0000-0000-000000000001"
KEY = f"{TENANT.replace('-', '')}/2026/01/01"
START_SECONDS = 60.0
LOOPBACK = ("127.0.0.0/8",)

TENANT_ROWS = """
WITH t AS (INSERT INTO tenants (tenant_id, name) VALUES ($1, 'acme'))
INSERT INTO domains (tenant_id, name) VALUES ($1, $2)
"""
DROP_ROWS = """
WITH m AS (
    INSERT INTO maildrops (tenant_id, maildrop_id, domain, local, messages, octets, next_sequence)
    SELECT $1, gen_random_uuid(), $2, $3 || n, $5, $5 * $6::bigint, $5 + 1 FROM generate_series(0, $4::int - 1) AS n
    RETURNING tenant_id, maildrop_id
)
INSERT INTO credentials (tenant_id, maildrop_id, credential_id, verifier, label)
SELECT tenant_id, maildrop_id, gen_random_uuid(), $7, 'main' FROM m
"""
MESSAGE_ROWS = """
INSERT INTO messages (tenant_id, maildrop_id, sequence, octets, header_octets, received, unique_id, dotted, sha256,
                      blob_key)
SELECT tenant_id, maildrop_id, n, $4, $5, now(), gen_random_uuid(), false, $6,
       CASE WHEN $7 THEN $8 || $2 ELSE $8 || local || '-' || n END
FROM maildrops, generate_series(1, $3::bigint) AS n
WHERE tenant_id = $1 AND local ~ ('^' || $2 || '[0-9]+$')
"""
RESTORED = """
WITH m AS (
    UPDATE maildrops SET messages = $3, octets = $3 * $4::bigint
    WHERE tenant_id = $1 AND local ~ ('^' || $2 || '[0-9]+$') RETURNING tenant_id, maildrop_id
)
UPDATE messages SET removed_at = NULL, removed_in = NULL, removed_by = NULL FROM m
WHERE messages.tenant_id = m.tenant_id AND messages.maildrop_id = m.maildrop_id AND removed_at IS NOT NULL
"""


@dataclass
class Backends:
    """What front ends share; `components` are the processes, by what they are called in the table."""

    folder: Path
    dsn: str
    redis: str
    components: dict[str, int]
    verifier: str = ""
    furnished: set[str] = field(default_factory=set)

    @property
    def blobs(self) -> Path:
        return self.folder / "blobs"

    def furnish(self, kinds: Sequence[Kind]) -> None:
        """Have maildrops of these kinds, made once."""
        for kind in kinds:
            if kind.name not in self.furnished:
                asyncio.run(self._rows(kind))
                self._texts(kind)
                self.furnished.add(kind.name)

    def restore(self, kind: Kind) -> None:
        """Bring back what clients removed."""
        values = (TENANT, kind.name, kind.messages, len(kind.text))
        asyncio.run(_execute(self.dsn, (RESTORED, values), ("VACUUM ANALYZE messages", ())))

    async def _rows(self, kind: Kind) -> None:
        text = kind.text
        drops = (TENANT, DOMAIN, kind.name, kind.maildrops, kind.messages, len(text), self.verifier)
        digest = hashlib.sha256(text).digest()
        messages = (
            *(TENANT, kind.name, kind.messages, len(text), kind.header_octets),
            *(digest, kind.shared, f"{KEY}/"),
        )
        await _execute(self.dsn, (DROP_ROWS, drops), (MESSAGE_ROWS, messages), ("VACUUM ANALYZE", ()))

    def _texts(self, kind: Kind) -> None:
        folder = self.blobs / KEY
        folder.mkdir(parents=True, exist_ok=True)
        names = [kind.name] if kind.shared and kind.messages else [
            f"{kind.name}{drop}-{n}" for drop in range(kind.maildrops) for n in range(1, kind.messages + 1)
        ]  # fmt: skip
        link_texts(kind, self.folder / "texts", (folder / name for name in names))


async def _execute(dsn: str, *statements: tuple[str, tuple[object, ...]]) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        for statement, values in statements:
            await connection.execute(statement, *values, timeout=600)
    finally:
        await connection.close()


@contextmanager
def backends(folder: Path) -> Iterator[Backends]:
    """A Postgres whose commits are on disk, a Valkey, and an empty schema."""
    (folder / "blobs").mkdir(parents=True)
    with (
        running_postgres(folder / "postgres", durable=True) as postgres,
        running_valkey(folder / "valkey", durable=False) as valkey,
    ):
        asyncio.run(migrate(postgres.dsn()))
        asyncio.run(_execute(postgres.dsn(), (TENANT_ROWS, (TENANT, DOMAIN))))
        components = {"postgres": postgres.pid, "redis": valkey.pid}
        yield Backends(folder, postgres.dsn(), valkey.url, components, asyncio.run(_verifier()))


async def _verifier() -> str:
    hashes = Argon2Hashes(threads=1)
    try:
        return await hashes.hash(SECRET)
    finally:
        hashes.close()


@dataclass(frozen=True)
class Ports:
    """A front end's and its LMTP's."""

    pop3: int = field(default_factory=free_port)
    pop3s: int = field(default_factory=free_port)
    lmtp: int = field(default_factory=free_port)
    http: int = field(default_factory=free_port)
    lmtp_http: int = field(default_factory=free_port)


@contextmanager
def poplar(
    behind: Backends,
    settings: Mapping[str, Mapping[str, object]] | None = None,
    workers: int = 1,
    under: Sequence[str] = (),
    profiled: str = "serve",
) -> Iterator[Target]:
    """Front ends and LMTP servers, `workers` of each, with these settings beside the site's own, ready.

    `profiled`, one of their commands, runs `under` another program, such as a profiler.
    """
    ports = Ports()
    values = _settings(behind, ports)
    for section, more in (settings or {}).items():
        values[section] = {**values.get(section, {}), **more}
    name, told = f"front-{ports.pop3}", f"--workers={workers}"
    lmtp_values = values | {"http": {"host": "127.0.0.1", "port": ports.lmtp_http}}
    programs = {profiled: under}
    with (
        _process(behind.folder / f"{name}.yaml", values, "serve", told, under=programs.get("serve", ())) as front,
        _process(
            behind.folder / f"{name}-lmtp.yaml", lmtp_values, "lmtp", told, under=programs.get("lmtp", ())
        ) as lmtp,
    ):
        places = {"pop3": ports.pop3, "pop3s": ports.pop3s, "lmtp": ports.lmtp}
        yield Target(
            "Poplar", places, behind.components | {"front": front, "lmtp": lmtp}, behind.furnish, behind.restore
        )


def _settings(behind: Backends, ports: Ports) -> dict[str, Any]:
    certificates = certificate_files(behind.folder / "tls")
    listener = {"host": "127.0.0.1", "protocol": "pop3"}
    proxied = {"proxy_protocol": "required", "trusted": list(LOOPBACK)}
    return {
        "database": {"url": behind.dsn},
        # A machine that is busy with the load isn't a Redis that is away.
        "redis": {"url": behind.redis, "deadline": 5.0},
        "object_store": {"url": behind.blobs.as_uri()},
        "tls": {"directory": str(certificates.folder)},
        "listeners": [
            {**listener, **proxied, "name": "pop3", "port": ports.pop3, "tls": "terminated"},
            {**listener, "name": "pop3s", "port": ports.pop3s, "tls": "implicit"},
            {"host": "127.0.0.1", "name": "lmtp", "protocol": "lmtp", "port": ports.lmtp},
        ],
        "http": {"host": "127.0.0.1", "port": ports.http},
        "hashing": {"remember_seconds": 3600.0},
        "process": {"large_pages": True},
        "logging": {"format": "json", "level": "info"},
    }


@contextmanager
def _process(path: Path, values: Mapping[str, Any], *arguments: str, under: Sequence[str] = ()) -> Iterator[int]:
    """`poplar` with these settings, once it serves; its process id."""
    path.write_text(yaml.safe_dump(dict(values)), "utf-8")
    log = path.with_suffix(".log")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("POPLAR_")}
    command = [*under, sys.executable, "-m", "service", "--config", str(path), *arguments]
    with log.open("wb") as told, subprocess.Popen(command, env=environment, stdout=told, stderr=told) as process:
        try:
            _await_serving(process, log, next((int(a[10:]) for a in arguments if a.startswith("--workers=")), 1))
            yield process.pid
        finally:
            stop(process, signal.SIGTERM, grace=60)


def _await_serving(process: "subprocess.Popen[bytes]", log: Path, times: int) -> None:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and process.poll() is None:
        if log.read_text("utf-8").count('"serving"') >= times:
            return
        time.sleep(0.05)
    raise AssertionError(log.read_text("utf-8"))
