"""What each thing that Poplar does costs, by component: counts and CPU, as lines of JSON.

    python -m tests.load.costs counts      # what the systems are asked, exactly; needs no quiet machine
    python -m tests.load.costs cpu         # CPU seconds of each process
    python -m tests.load.costs idle        # memory and renewals of idle sessions

Owns which things are measured. Asserts nothing.
"""

import argparse
import asyncio
import json
import ssl
import sys
from collections.abc import Awaitable, Callable

import asyncpg
import uvloop

from tests.load.costs import doing
from tests.load.costs.counting import Books, pss, read
from tests.load.costs.rig import TENANTS, Part, Rig, rig

SMALL, LARGE = 9_000, 10_000_000
KEPT = 20
"""Messages that a maildrop holds while it is polled."""


async def counted(where: Rig, parts: dict[str, int], doing_it: Awaitable[None]) -> Books:
    """What `doing_it` made of the books."""
    before = await read(where, parts)
    await doing_it
    # What follows a session, such as the last use of its credential, gets time to happen.
    await asyncio.sleep(1.0)
    return (await read(where, parts)).since(before)


def say(what: str, times: int, books: Books) -> None:
    """One line of JSON a kind of book: how much of it each time took."""
    for kind in ("statements", "redis", "s3", "database", "cpu"):
        each = {name: round(value / times, 7) for name, value in sorted(getattr(books, kind).items())}
        if each:
            sys.stdout.write(json.dumps({"what": what, "times": times, "kind": kind, "each": each}) + "\n")
    sys.stdout.flush()


async def told_statements(where: Rig) -> None:
    """Have Postgres log every statement from now on."""
    connection = await asyncpg.connect(where.postgres.dsn())
    await connection.execute("ALTER SYSTEM SET log_statement = 'all'")
    await connection.execute("SELECT pg_reload_conf()")
    await connection.close()
    await asyncio.sleep(0.5)


async def aged(where: Rig) -> None:
    """Have the retention of what was removed be over."""
    connection = await asyncpg.connect(where.postgres.dsn())
    await connection.execute("UPDATE messages SET removed_at = removed_at - interval '1 year'")
    await connection.close()


Things = dict[str, tuple[int, Callable[[int], Awaitable[None]]]]


def readings(where: Rig, front: Part, bare: Part, scale: int) -> Things:
    """Each way of reading by name, how often it is done, and how."""
    clear, closed = front.ports["terminated"], front.ports["implicit"]
    tls = trusting()
    at = where.filled
    every = range(1, KEPT + 1)
    return {
        "poll_stat": (scale, lambda n: doing.poll(clear, at(n), uidl=False)),
        "poll_uidl": (scale, lambda n: doing.poll(clear, at(n), uidl=True)),
        "poll_tls": (scale, lambda n: doing.poll(closed, at(n), uidl=True, tls=tls)),
        "poll_hashed": (scale // 10, lambda n: doing.poll(bare.ports["terminated"], at(n), uidl=True)),
        "fetch": (scale // 4, lambda n: doing.fetch(clear, at(n), every)),
        "fetch_tls": (scale // 4, lambda n: doing.fetch(closed, at(n), every, tls=tls)),
        "fetch_half": (scale // 20, lambda n: doing.fetch(clear, at(n), range(1, KEPT // 2 + 1))),
        "top": (scale // 20, lambda n: doing.tops(clear, at(n), range(1, 11))),
        "drain": (min(scale // 4, where.filled_ones), lambda n: doing.fetch(clear, at(n), every, remove=True)),
    }


def deliveries(where: Rig, front: Part, lmtp: Part, scale: int) -> Things:
    """Each sort of delivery, and the reading of large messages."""
    port, at = lmtp.ports["none"], where.filled
    large = doing.letter(LARGE)
    return {
        "deliver": (scale, lambda n: doing.deliver(port, [at(n)], doing.letter(SMALL))),
        "deliver_two": (scale // 4, lambda n: doing.deliver(port, [at(n), at(n + TENANTS)], doing.letter(SMALL))),
        "deliver_large": (2 * TENANTS, lambda n: doing.deliver(port, [where.empty(n)], large)),
        "fetch_large": (TENANTS, lambda n: doing.fetch(front.ports["terminated"], where.empty(n), range(1, 3))),
    }


def trusting() -> ssl.SSLContext:
    """TLS without a look at the certificate, a whole handshake each time."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


async def measure(options: argparse.Namespace) -> None:
    async with rig(options.maildrops, clustered=options.cluster) as where:
        lmtp = where.serve("lmtp", "none")
        front = where.serve("serve", "terminated", "implicit")
        bare = where.serve("serve", "terminated", hashing={"remember_seconds": 0})
        parts = {"front": front.process.pid, "lmtp": lmtp.process.pid, "bare": bare.process.pid}
        await warmed(where, lmtp, front, bare)
        if options.what == "counts":
            await told_statements(where)
        all_things = readings(where, front, bare, options.scale) | deliveries(where, front, lmtp, options.scale)
        chosen = options.only or all_things
        for name, (times, thing) in ((name, all_things[name]) for name in all_things if name in chosen):
            say(name, times, await counted(where, parts, doing.many(times, thing)))
        # The first sweep deletes what the drains removed, as if a year ago; the second finds nothing.
        await aged(where)
        for name in ("sweep", "sweep_again"):
            await _sweep(where, parts, name)


async def warmed(where: Rig, lmtp: Part, front: Part, bare: Part) -> None:
    """Mail in the maildrops, passwords remembered, scripts and statements known: what comes after is the everyday."""
    text = doing.letter(SMALL)
    count = where.filled_ones
    await doing.many(KEPT * count, lambda n: doing.deliver(lmtp.ports["none"], [where.filled(n)], text))
    await doing.many(count, lambda n: doing.poll(front.ports["terminated"], where.filled(n), uidl=True))
    await doing.many(TENANTS, lambda n: doing.poll(front.ports["terminated"], where.empty(n), uidl=False))
    await doing.many(16, lambda n: doing.poll(bare.ports["terminated"], where.filled(n), uidl=True))


async def _sweep(where: Rig, parts: dict[str, int], name: str) -> None:
    before = await read(where, parts)
    told = await asyncio.to_thread(where.run, "sweep", sweep={"orphan_hours": 1})
    sys.stdout.write(told)
    say(name, 1, (await read(where, parts)).since(before))


async def idle(options: argparse.Namespace) -> None:
    """Memory and renewals of so many sessions that say nothing."""
    async with rig(options.scale // TENANTS + 1) as where:
        for tls in ("terminated", "implicit"):
            await _idle(where, options.scale, tls)


async def _idle(where: Rig, sessions: int, tls: str) -> None:
    front = where.serve("serve", tls)
    chosen = trusting() if tls == "implicit" else None
    parts = {"front": front.process.pid}
    await doing.poll(front.ports[tls], where.name(0), uidl=False, tls=chosen)
    memory, empty = pss(front.process.pid), await read(where, parts)
    end, inside, door = asyncio.Event(), asyncio.Semaphore(0), asyncio.Semaphore(doing.AT_ONCE)

    async def stay(number: int) -> None:
        await door.acquire()
        async with doing.session(front.ports[tls], where.name(number), chosen) as client:
            await client.ask("STAT")
            door.release()
            inside.release()
            await end.wait()

    staying = [asyncio.ensure_future(stay(n)) for n in range(sessions)]
    for _ in staying:
        await inside.acquire()
    held = (await read(where, parts)).since(empty)
    grown = pss(front.process.pid) - memory
    before = await read(where, parts)
    await asyncio.sleep(60)
    minute = (await read(where, parts)).since(before)
    sys.stdout.write(
        json.dumps(
            {"what": f"idle_{tls}", "sessions": sessions, "pss_each": grown / sessions, "process": memory,
             "valkey_octets_each": held.redis["octets"] / sessions}
        ) + "\n"
    )  # fmt: skip
    say(f"idle_minute_{tls}", sessions, minute)
    end.set()
    await asyncio.gather(*staying)
    left = (await read(where, parts)).since(empty)
    sys.stdout.write(json.dumps({"what": f"after_{tls}", "valkey_octets_each": left.redis["octets"] / sessions}) + "\n")
    sys.stdout.flush()


def main() -> None:
    parser = argparse.ArgumentParser(description="What Poplar's work costs.")
    parser.add_argument("what", choices=("counts", "cpu", "idle"))
    parser.add_argument("--scale", type=int, default=200, help="how often a thing is done; how many sessions idle")
    parser.add_argument("--maildrops", type=int, default=25, help="of each of four tenants")
    parser.add_argument("--only", action="append", help="a thing to measure, and nothing else; may be given again")
    parser.add_argument("--cluster", action="store_true", help="Redis is a cluster of three")
    options = parser.parse_args()
    uvloop.run(idle(options) if options.what == "idle" else measure(options))


if __name__ == "__main__":
    main()
