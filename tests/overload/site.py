"""Front ends to be besieged, over real backends: a tenant of good clients, and five others whose clients are hostile.

Owns the accounts, their mail and the front ends' settings, which are production's: the defaults, behind a balancer that
tells each client's address by the PROXY protocol on both ports, so that thousands of addresses can come from one
machine. What a scenario changes of that, it says. Refuses to know who connects and what for.
"""

import asyncio
import hashlib
from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import redis
import yaml

from service.embedded.certificate import certificate_files
from service.stores.passwords import Argon2Hashes
from service.stores.postgres.migrate import migrate
from tests.backends.postgres import postgres
from tests.backends.valkey import valkey
from tests.cli.conftest import Command
from tests.load.fair_site import ACCOUNTS
from tests.load.mail import HEAD, LINE, SECRET
from tests.overload.accounts import GOOD, GOOD_MAILDROPS, HOSTILE
from tests.system.front_end import FrontEnd, without_poplar

LOOPBACK = ["127.0.0.0/8"]
POP3 = {"protocol": "pop3", "host": "127.0.0.1", "port": 0, "proxy_protocol": "required", "trusted": LOOPBACK}
CHEAP = "{SSHA256}" + b64encode(hashlib.sha256(SECRET.encode() + b"salt").digest() + b"salt").decode()
"""Of the hostile ones, so that thousands of them can log in soon; as from another system, and some are renewed."""
LISTENERS = [POP3 | {"name": "pop3", "tls": "terminated"}, POP3 | {"name": "pop3s", "tls": "implicit"}]


@dataclass(frozen=True)
class Crowd:
    """How many maildrops the hostile tenants have in all, and the octets of the one message in each."""

    maildrops: int
    octets: int


@dataclass(frozen=True)
class Site:
    """Backends that front ends can be put on."""

    folder: Path
    dsn: str
    redis: str
    crowd: Crowd

    @contextmanager
    def front_end(self, name: str, settings: Mapping[str, Any]) -> Iterator[FrontEnd]:
        """A front end with these settings beside the site's own; killed in the end."""
        values: dict[str, Any] = self._settings()
        for section, more in settings.items():
            values[section] = {**values.get(section, {}), **more}
        folder = self.folder / name
        folder.mkdir()
        (folder / "poplar.yaml").write_text(yaml.safe_dump(values), "utf-8")
        command = Command(["--config", str(folder / "poplar.yaml"), "serve"], without_poplar(), folder)
        try:
            command.await_said('"event":"serving"')
            yield FrontEnd(command)
        finally:
            if command.process.poll() is None:
                command.process.kill()
                command.process.wait()

    def leases(self) -> int:
        """How many maildrops are locked in Valkey."""
        with redis.Redis.from_url(self.redis) as client:
            return sum(1 for _ in client.scan_iter("lock:*", count=10_000))

    def _settings(self) -> dict[str, Any]:
        return {
            "database": {"url": self.dsn},
            # A machine that is busy with the siege isn't a Redis that is away.
            "redis": {"url": self.redis, "deadline": 5.0},
            "object_store": {"url": (self.folder / "blobs").as_uri()},
            "tls": {"directory": str(certificate_files(self.folder / "tls").folder)},
            "listeners": LISTENERS,
            "http": {"host": "127.0.0.1", "port": 0},
            "logging": {"format": "json", "level": "info"},
        }


@contextmanager
def site(folder: Path, crowd: Crowd) -> Iterator[Site]:
    """Postgres, Valkey and mail below `folder`."""
    with postgres(folder / "postgres") as server, valkey(folder / "valkey") as url:
        asyncio.run(_furnish(server.dsn(), folder / "blobs", crowd))
        yield Site(folder, server.dsn(), url, crowd)


async def _furnish(dsn: str, blobs: Path, crowd: Crowd) -> None:
    await migrate(dsn)
    hashes = Argon2Hashes(threads=1)
    verifiers = {GOOD: await hashes.hash(SECRET)}
    hashes.close()
    connection = await asyncpg.connect(dsn)
    try:
        each = crowd.maildrops // len(HOSTILE)
        for number, tenant in enumerate((GOOD, *HOSTILE), 1):
            drops, messages, octets = (GOOD_MAILDROPS, 20, 8_000) if tenant == GOOD else (each, 1, crowd.octets)
            text = HEAD + LINE * ((octets - len(HEAD)) // len(LINE))
            key = f"{number:032}/2026/01/01/text"
            (blobs / key).parent.mkdir(parents=True)
            (blobs / key).write_bytes(text)
            values = (
                f"00000000-0000-0000-0000-{number:012}",
                tenant,
                "user",
                drops,
                messages,
                len(text),
                verifiers.get(tenant, CHEAP),
            )
            more = (len(HEAD), hashlib.sha256(text).digest(), key)
            await connection.execute(ACCOUNTS, *values, *more, timeout=600)
        await connection.execute("ANALYZE")
    finally:
        await connection.close()
