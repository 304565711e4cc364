"""How many logins a second one process takes: with right passwords remembered, and without.

    python -m tests.load.logins --seconds 5 --clients 32

Owns the measure: each login is the whole use case (directory, verification, lease, fence) on a real Postgres and a real
Valkey, and its end. TLS and sockets are left out, as they cost the same either way. Asserts nothing.
"""

import argparse
import asyncio
import os
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import uvloop

from service.app.clock import SystemClock
from service.app.stores import open_verification
from service.mail.leases import Leases
from service.mail.login import Attempt, Login
from service.mail.update import Update
from service.mail.verification import Verification
from service.model.proof import Password
from service.model.refusal import Refusal
from service.settings.behaviour import HashingSettings
from service.stores.passwords import Argon2Hashes
from service.stores.postgres.database import Database
from service.stores.postgres.directory import PostgresDirectory
from service.stores.postgres.index import PostgresMessageIndex
from service.stores.postgres.migrate import migrate
from service.stores.redis import RedisMaildropLocks
from tests.backends.postgres import postgres
from tests.backends.valkey import valkey

SECRET = "correct horse battery staple"
DOMAIN = "acme.example"

ACCOUNTS = """
WITH t AS (INSERT INTO tenants (tenant_id, name) VALUES (gen_random_uuid(), 'acme') RETURNING tenant_id),
     d AS (INSERT INTO domains (tenant_id, name) SELECT tenant_id, $3 FROM t RETURNING tenant_id),
     m AS (
         INSERT INTO maildrops (tenant_id, maildrop_id, domain, local)
         SELECT tenant_id, gen_random_uuid(), $3, 'user' || n FROM d, generate_series(0, $1::int - 1) AS n
         RETURNING tenant_id, maildrop_id
     )
INSERT INTO credentials (tenant_id, maildrop_id, credential_id, verifier, label)
SELECT tenant_id, maildrop_id, gen_random_uuid(), $2, 'main' FROM m
"""


@dataclass(frozen=True)
class House:
    """What logins need, but for their verification."""

    database: Database
    locks: RedisMaildropLocks
    clients: int


@asynccontextmanager
async def furnished(folder: Path, clients: int) -> AsyncIterator[House]:
    with postgres(folder / "postgres") as server, valkey(folder / "valkey") as url:
        await migrate(server.dsn())
        database = Database(server.dsn())
        await database.open()
        hashes = Argon2Hashes(threads=1)
        await database.write(ACCOUNTS, clients, await hashes.hash(SECRET), DOMAIN)
        hashes.close()
        locks = RedisMaildropLocks(url)
        yield House(database, locks, clients)
        await locks.aclose()
        await database.close()


def login_over(house: House, verification: Verification) -> tuple[Login, Update]:
    index = PostgresMessageIndex(house.database)
    leases = Leases(house.locks, index)
    directory = PostgresDirectory(house.database)
    login = Login(directory, verification, house.locks, index, leases, SystemClock(), "load:1")
    return login, Update(index, leases)


async def come_and_go(house: House, verification: Verification, seconds: float) -> list[float]:
    """Seconds that each login took, by clients that log in and out without a pause, each its own maildrop."""
    login, update = login_over(house, verification)
    took: list[float] = []
    end = time.monotonic() + seconds

    async def client(number: int) -> None:
        attempt = Attempt(Password(f"user{number}@{DOMAIN}", SECRET), "PLAIN", f"s{number}", "192.0.2.1")
        while (began := time.monotonic()) < end:
            held = await login(attempt, lambda: None)
            took.append(time.monotonic() - began)
            await update.close(held)

    await asyncio.gather(*map(client, range(house.clients)))
    return took


async def flooded(house: House, verification: Verification, seconds: float) -> tuple[list[float], int]:
    """The same while four times as many clients try wrong passwords; what good logins took, how many bad ones came."""
    login, _ = login_over(house, verification)
    ended = asyncio.Event()

    async def wrong(number: int) -> int:
        attempt = Attempt(Password(f"user{number % house.clients}@{DOMAIN}", "wrong"), "PLAIN", "s", "192.0.2.2")
        tries = 0
        while not ended.is_set():
            tries += 1
            try:
                await login(attempt, lambda: None)
            except Refusal:
                await asyncio.sleep(0.5)
        return tries

    flood = [asyncio.create_task(wrong(number)) for number in range(4 * house.clients)]
    took = await come_and_go(house, verification, seconds)
    ended.set()
    return took, sum(await asyncio.gather(*flood))


def say(what: str, took: list[float], seconds: float) -> None:
    cuts = statistics.quantiles(took, n=100)
    line = f"{what:36} {len(took) / seconds:8.0f}/s   p50 {cuts[49] * 1000:7.1f} ms   p99 {cuts[98] * 1000:7.1f} ms\n"
    sys.stdout.write(line)


async def measure(folder: Path, seconds: float, clients: int) -> None:
    sys.stdout.write(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, {clients} clients, {seconds:g} s each\n")
    async with furnished(folder, clients) as house:
        for what, settings in (
            ("computed each time", HashingSettings(remember_seconds=0)),
            ("remembered", HashingSettings()),
        ):
            async with open_verification(settings, house.database) as verification:
                await come_and_go(house, verification, 0.5)
                say(what, await come_and_go(house, verification, seconds), seconds)
        async with open_verification(HashingSettings(queue=clients), house.database) as verification:
            await come_and_go(house, verification, 0.1)
            took, tries = await flooded(house, verification, seconds)
            say(f"remembered, {tries / seconds:.0f} wrong ones a second", took, seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description="Logins a second, remembered and not.")
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--clients", type=int, default=32)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        # Where root runs this, Postgres is another user.
        Path(folder).chmod(0o755)
        uvloop.run(measure(Path(folder), options.seconds, options.clients))


if __name__ == "__main__":
    main()
