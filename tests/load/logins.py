"""How many logins a second one process takes: with right passwords remembered and without, guarded and not, in a flood.

    python -m tests.load.logins --seconds 5 --clients 32

Owns the measure: each login is the whole use case (directory, verification, lease, fence) on a real Postgres and a real
Valkey, and its end. TLS and sockets are left out, as they cost the same either way. Asserts nothing.
"""

import argparse
import asyncio
import itertools
import os
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import uvloop

from service.app.clock import SystemClock
from service.app.guarding import open_guard
from service.app.hashing import open_verification
from service.mail.attempts import Charge
from service.mail.counting import place_of
from service.mail.guard import Guard
from service.mail.leases import Leases
from service.mail.login import Attempt, Login
from service.mail.update import Update
from service.mail.verification import Verification
from service.model.proof import Password
from service.model.refusal import Refusal
from service.settings import Settings
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
WRONG_A_SECOND = 200
_serial = itertools.count()
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
    guard: Guard


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
        yield House(database, locks, clients, Guard())
        await locks.aclose()
        await database.close()


def login_over(house: House, verification: Verification) -> tuple[Login, Update]:
    index = PostgresMessageIndex(house.database)
    leases = Leases(house.locks, index)
    directory = PostgresDirectory(house.database)
    login = Login(directory, verification, house.locks, index, leases, SystemClock(), "load:1", guard=house.guard)
    return login, Update(index, leases)


async def come_and_go(
    house: House, verification: Verification, seconds: float, turned_away: Counter[str]
) -> list[float]:
    """Seconds that each login took, by clients that log in and out without a pause, each its own maildrop."""
    login, update = login_over(house, verification)
    took: list[float] = []
    end = time.monotonic() + seconds

    async def client(number: int) -> None:
        attempt = Attempt(Password(f"user{number}@{DOMAIN}", SECRET), "PLAIN", f"s{number}", "192.0.2.1")
        while (began := time.monotonic()) < end:
            try:
                held = await login(attempt, lambda: None)
            except Refusal as refusal:
                turned_away[f"good ones {refusal.reason.value}"] += 1
                await asyncio.sleep(0.5)
                continue
            took.append(time.monotonic() - began)
            await update.close(held)

    await asyncio.gather(*map(client, range(house.clients)))
    return took


def place(number: int) -> str:
    return f"198.18.{number // 250}.{number % 250}"


async def flooded(
    house: House, verification: Verification, seconds: float, addresses: int
) -> tuple[list[float], dict[str, int]]:
    """The same while wrong passwords come at this rate at most, whatever became of those before; what came of them."""
    login, _ = login_over(house, verification)
    came: Counter[str] = Counter()

    async def wrong(number: int) -> None:
        name = f"user{number % house.clients}@{DOMAIN}"
        attempt = Attempt(Password(name, f"wrong {number}"), "PLAIN", "s", place(number % addresses))
        try:
            await login(attempt, lambda: None)
        except Refusal as refusal:
            came["refused unseen" if "held back" in refusal.cause else refusal.reason.value] += 1

    async def all_wrong() -> None:
        # A loop that is late isn't made later still by those it missed.
        async with asyncio.TaskGroup() as group:
            for number in _serial:
                group.create_task(wrong(number))
                await asyncio.sleep(1 / WRONG_A_SECOND)

    flood = asyncio.create_task(all_wrong())
    took = await come_and_go(house, verification, seconds, came)
    flood.cancel()
    await asyncio.gather(flood, return_exceptions=True)
    return took, dict(came)


@dataclass
class Told:
    """What came of one kind of run, slice by slice; `cpu` is this process' own, its hashing threads' too."""

    took: list[float] = field(default_factory=list)
    came: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    cpu: float = 0.0

    def say(self, what: str) -> None:
        cuts = statistics.quantiles(self.took, n=100)
        sys.stdout.write(
            f"{what:40} {len(self.took) / self.seconds:6.0f}/s   p50 {cuts[49] * 1000:6.1f} ms   "
            f"p99 {cuts[98] * 1000:6.1f} ms   {self.cpu / len(self.took) * 1e6:6.0f} us CPU each\n"
        )
        if self.came:
            sys.stdout.write(
                f"    {', '.join(f'{number} {outcome}' for outcome, number in sorted(self.came.items()))}\n"
            )


async def compared(houses: dict[str, House], settings: HashingSettings, seconds: float, addresses: int) -> None:
    """The houses in turn, a second each, so that what else the machine does is the same for all."""
    told = {what: Told() for what in houses}
    async with AsyncExitStack() as stack:
        verifications = {}
        for what, house in houses.items():
            verifications[what] = await stack.enter_async_context(open_verification(settings, house.database))
            await come_and_go(house, verifications[what], 0.5, Counter())
        while told[what].seconds < seconds:
            for what, house in houses.items():
                began, cpu = time.monotonic(), time.process_time()
                if addresses:
                    # A flood needs its time: until somebody is refused, his guesses are looked at.
                    took, came = await flooded(house, verifications[what], seconds, addresses)
                    told[what].came.update(came)
                else:
                    took = await come_and_go(house, verifications[what], 1.0, told[what].came)
                told[what].took += took
                told[what].seconds += time.monotonic() - began
                told[what].cpu += time.process_time() - cpu
    for what, each in told.items():
        each.say(what)


async def measure(folder: Path, seconds: float, clients: int) -> None:
    sys.stdout.write(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, {clients} clients, {seconds:g} s each\n")
    async with furnished(folder, clients) as bare, open_guard(Settings(), bare.locks) as guard:
        guarded = replace(bare, guard=guard)
        await compared({"computed each time": bare}, HashingSettings(remember_seconds=0), seconds, 0)
        await compared({"remembered": bare, "remembered, guarded": guarded}, HashingSettings(), seconds, 0)
        # Whoever floods is refused from the start, as after his first minute.
        charges = [Charge(each, 1000.0, 1000.0) for number in range(1000) for each in place_of(place(number)).subjects]
        assert guard.attempts is not None
        await guard.attempts.count(charges)
        for addresses in (1, 1000):
            where = f"{WRONG_A_SECOND} wrong a second from {addresses}"
            await compared({where: bare, f"{where}, guarded": guarded}, HashingSettings(), seconds, addresses)
        where = "computed each time, in that flood"
        await compared({where: bare, f"{where}, guarded": guarded}, HashingSettings(remember_seconds=0), seconds, 1000)


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
