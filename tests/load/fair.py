"""What one tenant at ten times its share does to another's 99th percentile (G16), in a real front end.

    python -m tests.load.fair --seconds 5 --rounds 3 poll drain wrong unknown long

The light tenant's clients do the same thing throughout; the heavy one's are as many as those, then ten times as many,
in turn, so that what the machine does besides falls on both. Prints the light one's percentiles of both and their
ratio. The heavy one's clients run in a process of their own that stands back, as other machines would do the work.
TLS is left out. Asserts nothing.
"""

import argparse
import asyncio
import json
import multiprocessing
import os
import statistics
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import uvloop

from tests.load.fair_site import SECRET, Site, site

CLIENTS = 4
THINK = 0.05
"""Seconds that a client waits between two sessions."""
TIMES = (1, 10)


class Client:
    """One POP3 session, in clear text, as behind a balancer that ends TLS."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def ask(self, command: str) -> str:
        self._writer.write(command.encode() + b"\r\n")
        return (await self._reader.readline()).decode()

    async def multi_line(self, command: str) -> int:
        """The octets of a multi-line response."""
        status = await self.ask(command)
        if not status.startswith("+OK"):
            raise Refused(status)
        return len(await self._reader.readuntil(b"\r\n.\r\n"))

    async def log_in(self, name: str, secret: str) -> None:
        await self.ask(f"USER {name}")
        status = await self.ask(f"PASS {secret}")
        if not status.startswith("+OK"):
            raise Refused(status)


class Refused(Exception):
    """A response that isn't +OK."""


Doing = Callable[[Client, int], Awaitable[None]]


async def poll(client: Client, number: int, tenant: str = "heavy") -> None:
    """What most clients do most of the time: nothing new."""
    await client.log_in(f"user{number % 64}@{tenant}.example", SECRET)
    await client.ask("STAT")
    await client.multi_line("UIDL")


async def drain(client: Client, number: int) -> None:
    await client.log_in(f"large{number % 40}@heavy.example", SECRET)
    await client.multi_line("LIST")
    for message in range(1, 9):
        await client.multi_line(f"RETR {message}")


async def wrong(client: Client, number: int) -> None:
    await client.log_in(f"user{number % 64}@heavy.example", f"wrong {time.monotonic()}")


async def unknown(client: Client, number: int) -> None:
    await client.log_in(f"nobody{number}@nowhere{number}.example", "wrong")


async def long(client: Client, number: int) -> None:
    """Listings of many messages."""
    await client.log_in(f"long{number % 40}@heavy.example", SECRET)
    await client.multi_line("UIDL")
    await client.multi_line("LIST")


SCENARIOS: dict[str, Doing] = {"poll": poll, "drain": drain, "wrong": wrong, "unknown": unknown, "long": long}


@dataclass
class Tally:
    """What clients saw: seconds of each step, and the refusals they got."""

    seconds: dict[str, list[float]] = field(default_factory=dict)
    refused: Counter[str] = field(default_factory=Counter)
    ended: int = 0

    def took(self, what: str, began: float) -> float:
        now = time.monotonic()
        self.seconds.setdefault(what, []).append(now - began)
        return now


async def light(client: Client, number: int, tally: Tally) -> None:
    """The good client: logs in, looks, reads two messages."""
    began = now = time.monotonic()
    await client.log_in(f"user{number % 64}@light.example", SECRET)
    now = tally.took("login", now)
    await client.multi_line("UIDL")
    now = tally.took("uidl", now)
    for message in (1, 2):
        await client.multi_line(f"RETR {message}")
        now = tally.took("retr", now)
    tally.took("session", began)


async def keep_coming(port: int, number: int, until: float, doing: Doing, tally: Tally) -> None:
    while time.monotonic() < until:
        try:
            await _session(port, number, doing)
        except Refused as refused:
            tally.refused[str(refused).strip()] += 1
        except (OSError, asyncio.IncompleteReadError) as error:
            tally.refused[type(error).__name__] += 1
        tally.ended += 1
        await asyncio.sleep(THINK)


async def _session(port: int, number: int, doing: Doing) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 24)
    try:
        await reader.readline()
        client = Client(reader, writer)
        await doing(client, number)
        await client.ask("QUIT")
    finally:
        writer.close()


def be_heavy(port: int, scenario: str, clients: int, seconds: float, told: Any) -> None:
    """The heavy tenant's clients, in a process that leaves the others theirs."""
    os.nice(5)
    tally = Tally()

    async def come() -> None:
        until = time.monotonic() + seconds
        async with asyncio.timeout(seconds + 60):
            await asyncio.gather(
                *(keep_coming(port, number, until, SCENARIOS[scenario], tally) for number in range(clients))
            )

    try:
        uvloop.run(come())
    except TimeoutError:
        tally.refused["late"] += 1
    told.put((tally.ended, dict(tally.refused)))


async def beside(place: Site, scenario: str, times: int, seconds: float, tally: Tally) -> tuple[int, dict[str, int]]:
    """The light tenant's sessions while the heavy one comes with `times` as many; what the heavy one came to."""
    context = multiprocessing.get_context("spawn")
    told = context.Queue()
    heavy = context.Process(target=be_heavy, args=(place.port, scenario, CLIENTS * times, seconds + 1.5, told))
    heavy.start()
    await asyncio.sleep(1.5)
    until = time.monotonic() + seconds - 0.5
    await asyncio.gather(
        *(keep_coming(place.port, n, until, lambda c, number: light(c, number, tally), tally) for n in range(CLIENTS))
    )
    result: tuple[int, dict[str, int]] = await asyncio.to_thread(told.get)
    heavy.join()
    return result


def say(scenario: str, light_ones: dict[int, Tally], heavy_ones: dict[int, tuple[int, Counter[str]]]) -> None:
    for what in light_ones[1].seconds:
        cuts = {t: statistics.quantiles(light_ones[t].seconds.get(what, [0, 0]), n=100) for t in TIMES}
        figures = "".join(f"{cuts[t][at] * 1000:9.1f}" for at in (49, 98) for t in TIMES)
        ratio = cuts[10][98] / cuts[1][98]
        number = "/".join(str(len(light_ones[t].seconds.get(what, []))) for t in TIMES)
        sys.stdout.write(f"{scenario:10}{what:10}{figures}{ratio:8.2f}   n {number}\n")
    for times in TIMES:
        ended, refused = heavy_ones[times]
        sys.stdout.write(
            f"           x{times}: heavy {ended} sessions {dict(refused)}, light {dict(light_ones[times].refused)}\n"
        )
    sys.stdout.flush()


async def measure(options: argparse.Namespace) -> None:
    sys.stdout.write(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, {CLIENTS} light clients\n")
    sys.stdout.write(f"{'heavy':10}{'light':10}{'p50 x1':>9}{'p50 x10':>9}{'p99 x1':>9}{'p99 x10':>9}{'ratio':>8}\n")
    async with site(json.loads(options.settings)) as place:
        await beside(place, "poll", 1, 1.0, Tally())
        for scenario in options.scenarios:
            light_ones = {times: Tally() for times in TIMES}
            heavy_ones: dict[int, tuple[int, Counter[str]]] = {times: (0, Counter()) for times in TIMES}
            for _ in range(options.rounds):
                for times in TIMES:
                    ended, refused = await beside(place, scenario, times, options.seconds, light_ones[times])
                    heavy_ones[times] = (heavy_ones[times][0] + ended, heavy_ones[times][1] + Counter(refused))
            say(scenario, light_ones, heavy_ones)


def main() -> None:
    parser = argparse.ArgumentParser(description="What a heavy tenant does to a light one.")
    parser.add_argument("scenarios", nargs="*", default=list(SCENARIOS), help=", ".join(SCENARIOS))
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--settings", default="{}", help="of the front end, as JSON")
    uvloop.run(measure(parser.parse_args()))


if __name__ == "__main__":
    main()
