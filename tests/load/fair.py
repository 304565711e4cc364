"""What one tenant at ten times its share does to another's 99th percentile (G16), in a real front end.

    python -m tests.load.fair --seconds 10 --rounds 3 poll drain wrong unknown long

Two tenants, so a share is half of what the front end does of that work when nothing else is asked of it; this is
measured first. The heavy tenant's clients then come as often as makes its share, then ten times as many of them, in
turn, so that what the machine does besides falls on both; the light tenant's clients do the same thing throughout,
well below their share. Prints the light one's percentiles of both and their ratio, and how busy the front end was; and
by itself what the light one's sessions took while the heavy one's clients all came for the first time, from addresses
that nobody had come from before.
The front end has a core of its own; its backends and all clients have the others, where the light ones go first (where
root runs this) and the heavy ones stand back behind all else, as they would be other machines. TLS is left out. Asserts
nothing.
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
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import uvloop

from tests.load.fair_clients import Ask, Crowd, Script, Tally
from tests.load.fair_site import SECRET, Site, site

LIGHT_CLIENTS, LIGHT_INTERVAL = 4, 0.1
HEAVY_INTERVAL = 0.1
"""Seconds from one session of a client to its next."""
ALL_IT_CAN = 48
"""Clients that come without a pause, to find what the front end can do."""
TIMES = (1, 10)
IDLE = 0.05
"""Seconds of processor in a second that an idle front end takes at most."""
SPENT, FRESH, NETWORKS = 2, 16, 6
"""Networks of clients before the measure, the first of those in it, and how many each crowd has: as after a restart,
no address of the heavy tenant is known when it comes."""
POLLED, DRAINED, LISTED = 1024, 160, 160
"""Maildrops of the heavy tenant for each: more than its clients, so that none finds its own in use."""
SPARED = 0.025
"""Seconds for each first login, which computes Argon2id."""
SETTLED = 0.5
"""Seconds since each of the heavy ones had a session, before the light ones are measured."""


def log_in(name: str, secret: str = SECRET, *, refused: bool = False) -> list[Ask]:
    return [Ask(f"USER {name}", "USER"), Ask(f"PASS {secret}", "PASS", refused=refused)]


def poll(number: int) -> list[Ask]:
    """What most clients do most of the time: nothing new."""
    return [*log_in(f"user{number % POLLED}@heavy.example"), Ask("STAT", "STAT"), Ask("UIDL", "UIDL", multi_line=True)]


def drain(number: int) -> list[Ask]:
    retrieved = [Ask(f"RETR {message}", "RETR", multi_line=True) for message in range(1, 9)]
    return [*log_in(f"large{number % DRAINED}@heavy.example"), Ask("LIST", "LIST", multi_line=True), *retrieved]


def wrong(number: int) -> list[Ask]:
    return log_in(f"user{number % POLLED}@heavy.example", f"wrong {time.monotonic()}", refused=True)


def unknown(number: int) -> list[Ask]:
    return log_in(f"nobody{number}@nowhere{number}.example", "wrong", refused=True)


def long(number: int) -> list[Ask]:
    """Listings of many messages."""
    listings = [Ask(command, command, multi_line=True) for command in ("UIDL", "LIST")]
    return [*log_in(f"long{number % LISTED}@heavy.example"), *listings]


SCRIPTS: dict[str, Script] = {"poll": poll, "drain": drain, "wrong": wrong, "unknown": unknown, "long": long}


def light(number: int) -> list[Ask]:
    """The good client: logs in, looks, reads two messages."""
    retrieved = [Ask(f"RETR {message}", "RETR", multi_line=True) for message in (1, 2)]
    return [*log_in(f"user{number % 64}@light.example"), Ask("UIDL", "UIDL", multi_line=True), *retrieved]


@dataclass
class Side:
    """What was seen at one number of times the share."""

    light: Tally = field(default_factory=Tally)
    arriving: Tally = field(default_factory=Tally)
    """What the light ones saw until each of the heavy ones had had a session."""
    heavy: Counter[str] = field(default_factory=Counter)
    heavy_ended: int = 0
    seconds: float = 0.0
    busy: float = 0.0
    """Seconds of processor that the front end took."""


def be_heavy(crowd: Crowd, scenario: str, all_came: Any, over: Any, told: Any) -> None:
    """The heavy tenant's clients, in a process that leaves the others theirs; sets `all_came`, and ends with `over`."""
    # However low its priority, the kernel lets a process that runs end its slice of some 3 ms before another one that
    # wakes up, but for this policy.
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    tally = Tally()

    def ended() -> bool:
        if tally.came == crowd.clients:
            all_came.set()
        return bool(over.is_set())

    uvloop.run(crowd.come(ended, SCRIPTS[scenario], tally))
    told.put((tally.ended, tally.unexpected))


async def beside(place: Site, scenario: str, heavy: Crowd, seconds: float, side: Side) -> None:
    """The light tenant's sessions while the heavy one comes."""
    context = multiprocessing.get_context("spawn")
    all_came, over, told = context.Event(), context.Event(), context.Queue()
    process = context.Process(target=be_heavy, args=(heavy, scenario, all_came, over, told))
    process.start()
    crowd = Crowd(place.port, LIGHT_CLIENTS, LIGHT_INTERVAL, network=1)
    await crowd.come(all_came.is_set, light, side.arriving)
    await asyncio.sleep(SETTLED)
    used, began = _used(place), time.monotonic()
    await crowd.come_for(seconds, light, side.light)
    side.busy += _used(place) - used
    side.seconds += time.monotonic() - began
    over.set()
    ended, unexpected = await asyncio.to_thread(told.get)
    process.join()
    side.heavy_ended += ended
    side.heavy += unexpected


def _used(place: Site) -> float:
    told = Path(f"/proc/{place.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(told[11]) + int(told[12])) / os.sysconf("SC_CLK_TCK")


async def warm_up(place: Site) -> None:
    """Every password is verified once, so that it is remembered."""
    tally = Tally()
    for script, clients in ((light, 64), (poll, POLLED), (drain, DRAINED), (long, LISTED)):
        seconds = clients * SPARED
        await Crowd(place.port, clients, seconds, SPENT).come_for(seconds, script, tally)
    if tally.unexpected:
        raise RuntimeError(f"first logins: {dict(tally.unexpected)}")
    await nothing_left(place)


async def nothing_left(place: Site) -> None:
    """Return once the front end is idle: renewals of verifiers, which take turns behind all else, are over."""
    async with asyncio.timeout(120):
        used = -1.0
        while _used(place) - used > IDLE:
            used = _used(place)
            await asyncio.sleep(1.0)


async def capacity(place: Site, scenario: str) -> float:
    """Sessions of this kind a second when nothing else is asked of the front end, once each was there before."""
    crowd = Crowd(place.port, ALL_IT_CAN, 0.0, SPENT)
    await crowd.come_for(3.0, SCRIPTS[scenario], Tally())
    tally, began = Tally(), time.monotonic()
    await crowd.come_for(3.0, SCRIPTS[scenario], tally)
    return tally.ended / (time.monotonic() - began)


def say(scenario: str, sides: dict[int, Side]) -> None:
    for step in sides[1].light.seconds:
        cuts = {t: statistics.quantiles(sides[t].light.seconds.get(step, [0, 0]), n=100) for t in TIMES}
        figures = "".join(f"{cuts[t][at] * 1000:9.1f}" for at in (49, 98) for t in TIMES)
        number = "/".join(str(len(sides[t].light.seconds.get(step, []))) for t in TIMES)
        sys.stdout.write(f"{scenario:10}{step:10}{figures}{cuts[10][98] / cuts[1][98]:8.2f}   n {number}\n")
    for times, side in sides.items():
        arriving = side.arriving.seconds["session"]
        half, most = statistics.median(arriving) * 1000, max(arriving) * 1000
        sys.stdout.write(f"           x{times}: {len(arriving)} sessions while all came, {half:.1f} to {most:.1f} ms\n")
        sys.stdout.write(
            f"           x{times}: front end {side.busy / side.seconds:.2f} of a core, heavy {side.heavy_ended} "
            f"sessions {dict(side.heavy)}, light {dict(side.light.unexpected)}\n"
        )
    sys.stdout.flush()


async def measure(options: argparse.Namespace) -> None:
    sys.stdout.write(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, {LIGHT_CLIENTS} light clients\n")
    sys.stdout.write(f"{'heavy':10}{'light':10}{'p50 x1':>9}{'p50 x10':>9}{'p99 x1':>9}{'p99 x10':>9}{'ratio':>8}\n")
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, cores[1:] or cores)
    networks = count(FRESH, NETWORKS)
    async with site(json.loads(options.settings), cores[0]) as place:
        await warm_up(place)
        with suppress(PermissionError):
            os.setpriority(os.PRIO_PROCESS, 0, -19)
        for scenario in options.scenarios:
            able = await capacity(place, scenario)
            share = max(1, round(able / 2 * HEAVY_INTERVAL))
            sys.stdout.write(f"{scenario}: {able:.0f} sessions/s alone, the share is {share} clients\n")
            sides = {times: Side() for times in TIMES}
            for _ in range(options.rounds):
                for times, side in sides.items():
                    heavy = Crowd(place.port, share * times, HEAVY_INTERVAL, next(networks))
                    await beside(place, scenario, heavy, options.seconds, side)
            say(scenario, sides)


def main() -> None:
    parser = argparse.ArgumentParser(description="What a heavy tenant does to a light one.")
    parser.add_argument("scenarios", nargs="*", default=list(SCRIPTS), help=", ".join(SCRIPTS))
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--settings", default="{}", help="of the front end, as JSON")
    uvloop.run(measure(parser.parse_args()))


if __name__ == "__main__":
    main()
