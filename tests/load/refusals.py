"""How long refused logins take, by their reason, and whether that tells one reason from another: D14, G13.

    python -m tests.load.refusals --samples 400

Owns the measure: logins over TLS at the real program, their reasons in random order within each round, so that whatever
else the machine does falls on all alike; and the judgement, by the two-sample test of Kolmogorov and Smirnov.
"""

import argparse
import asyncio
import math
import os
import random
import ssl
import statistics
import sys
import tempfile
import time
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

from service.app.leasing import open_locks
from service.mail.attempts import Charge
from service.model.attempts import Kind, Subject
from service.settings import load_settings
from service.stores.redis import RedisAttempts
from tests.backends.demo import Place, RunningDemo, demo_on
from tests.system.clients.maildrop import dialled, new_maildrop, trusting
from tests.system.front_end import IMPLICIT, FrontEnd, front_end
from tests.system.test_bad_logins import FAILED, RIGHT, by_plain, doors_of

Doors = Mapping[str, tuple[str, str]]
"""A name and a password for each reason to refuse."""
AGAINST = "wrong password"
BLOCKED = "blocked"
WIRES = 4
QUANTUM = 0.25
COUNTERS = ("address", "network", "account", "tenant")
ONLY_PAIRS: dict[str, object] = {f"{who}_{what}_from": 0 for who in COUNTERS for what in ("delay", "refuse")}
ONLY_PAIRS |= {"exempt": [], "pair_delay_from": 0, "pair_refuse_from": 50}
"""Those who are measured come from one address and fail without end: only who is blocked on purpose may be refused."""


def measured(place: Place, trust: ssl.SSLContext, doors: Doors, rounds: int, seed: int = 1) -> dict[str, list[float]]:
    """Seconds of `rounds` refusals for each reason, over some connections at once."""

    def one(wire: int) -> dict[str, list[float]]:
        return _over_one(place, trust, doors, (rounds + wire) // WIRES, random.Random(seed + wire))

    with ThreadPoolExecutor(WIRES) as threads:
        parts = list(threads.map(one, range(WIRES)))
    return {reason: [each for part in parts for each in part[reason]] for reason in doors}


def _over_one(
    place: Place, trust: ssl.SSLContext, doors: Doors, rounds: int, chance: random.Random
) -> dict[str, list[float]]:
    took: dict[str, list[float]] = {reason: [] for reason in doors}
    with closing(dialled(place, trust)) as wire:
        for _ in range(rounds):
            for reason in chance.sample(sorted(doors), len(doors)):
                began = time.perf_counter()
                answer = by_plain(wire, *doors[reason])
                took[reason].append(time.perf_counter() - began)
                assert answer == FAILED, reason
    return took


def distance(one: Sequence[float], other: Sequence[float]) -> float:
    """The largest difference of two samples' distributions."""
    first, second = sorted(one), sorted(other)
    return max(
        abs(bisect_right(first, value) / len(first) - bisect_right(second, value) / len(second))
        for value in (*first, *second)
    )


def p_value(one: Sequence[float], other: Sequence[float]) -> float:
    """How probable a distance as large as this one is if both come of one distribution, by Kolmogorov's series."""
    size = math.sqrt(len(one) * len(other) / (len(one) + len(other)))
    x = (size + 0.12 + 0.11 / size) * distance(one, other)
    if x < 0.2:
        return 1.0  # The series converges too slowly there, and to 1.
    series = ((-1) ** (k - 1) * math.exp(-2 * k * k * x * x) for k in range(1, 101))
    return min(1.0, max(0.0, 2 * math.fsum(series)))


def told_apart(took: Mapping[str, Sequence[float]]) -> dict[str, float]:
    """For each reason but a wrong password, the probability that chance alone makes it as different from that."""
    return {reason: p_value(took[AGAINST], each) for reason, each in took.items() if reason != AGAINST}


def blocked(demo: RunningDemo) -> tuple[str, str]:
    """A name and its right password, refused unseen from this machine's address."""
    address = new_maildrop(demo, RIGHT).account.address
    asyncio.run(_block(demo, Subject(Kind.PAIR, f"{address} 127.0.0.1")))
    return address, RIGHT


async def _block(demo: RunningDemo, subject: Subject) -> None:
    async with open_locks(load_settings(demo.state / "state" / "poplar.yaml")) as locks:
        await RedisAttempts(locks.servers, half_life=86_400).count([Charge(subject, 10_000.0, 10_000.0)])


@contextmanager
def answering(demo: RunningDemo, folder: Path, delay: float, program: str = "service") -> Iterator[FrontEnd]:
    """A front end that refuses after multiples of `delay` seconds, and up to half of one more, and never closes."""
    more = {"pop3": {"failure_delay": delay}, "abuse": ONLY_PAIRS, "limits": {"login_failures": 1_000_000}}
    with front_end(demo, folder, (IMPLICIT,), program, **more) as front:
        yield front


def main() -> None:
    parser = argparse.ArgumentParser(description="Whether the time of a refusal tells its reason.")
    parser.add_argument("--samples", type=int, default=400)
    parser.add_argument("--delay", type=float, default=1.0, help="pop3.failure_delay, in seconds")
    options = parser.parse_args()
    sys.stdout.write(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, {options.samples} refusals of each\n")
    with tempfile.TemporaryDirectory() as name:
        # Where root runs this, Postgres is another user.
        Path(name).chmod(0o755)
        with (
            demo_on(Path(name) / "demo") as demo,
            answering(demo, Path(name) / "front", options.delay) as front,
        ):
            doors = {**doors_of(demo), BLOCKED: blocked(demo)}
            took = measured(front.place(), trusting(demo), doors, options.samples)
    apart = told_apart(took)
    for reason, each in took.items():
        cuts = statistics.quantiles(each, n=100)
        line = f"{reason:20} p50 {cuts[49] * 1000:8.2f} ms   p99 {cuts[98] * 1000:8.2f} ms"
        sys.stdout.write(f"{line}   p = {apart[reason]:.3f}\n" if reason in apart else f"{line}\n")


if __name__ == "__main__":
    main()
