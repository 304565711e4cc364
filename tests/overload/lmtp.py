"""LMTP under hostile senders: what the process holds, how long good clients beside wait, and whether all is given back.

Owns the scenarios and how each is measured, besieged and in quiet before and after, in one run. Refuses to say which
figure is good; that nothing but what was delivered stays behind is asserted. G15, G18. RFC 2033, RFC 5321 §4.5.3.1.
"""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit

import asyncpg

from tests.backends.demo import Account, Place, RunningDemo
from tests.overload.held import Held, given_back, look, peak
from tests.overload.million_rows import owner_dsn, site_settings
from tests.overload.waits import Beside, Span, Waits, beside, quieter, ratio, span
from tests.system.front_end import LMTP, TERMINATED, FrontEnd, front_end

MIB = 1 << 20
PATIENCE = 30.0
NAMED = "SELECT DISTINCT blob_key FROM messages"


@dataclass(frozen=True)
class Scenario:
    """What hostile senders do; `stays` seconds once all are there; `apart` where figures are judged.

    So many `rounds` that good senders have a thousand deliveries beside: of a hundred, the 99th percentile is one.
    """

    kind: str
    octets: int = 0
    senders: int = 16
    rounds: int = 1
    times: int = 0
    stays: float = 0.0
    apart: bool = False


LONG = (
    Scenario("one_header", 100 * MIB - 4096, rounds=4),
    Scenario("header_lines", 3_000_000, rounds=60),
    Scenario("header_lines", 100 * MIB - 4096, rounds=2),
    Scenario("parts", 50 * MIB, rounds=4),
    Scenario("bare_line_ends", 30 * MIB, rounds=2),
    Scenario("endless_text", 150 * MIB, rounds=4),
    Scenario("endless_command", 100 * MIB),
    Scenario("stopped_data", 64 * 1024, stays=10.0),
    Scenario("stopped_data", 20 * MIB, stays=10.0),
    Scenario("stopped_chunk", 6 * MIB, senders=64, stays=10.0),
    Scenario("recipients", times=3_000, rounds=20),
    Scenario("large_mail", 25 * MIB, senders=1, rounds=80),
)
SHORT = (
    Scenario("header_lines", 6 * 20_000, senders=4),
    Scenario("one_header", 2 * MIB, senders=4),
    Scenario("stopped_data", 6 * MIB, senders=4),
    Scenario("stopped_chunk", MIB, senders=4),
    Scenario("recipients", senders=2, times=150),
)


@dataclass
class Row:
    """The figures of one scenario: memory in MiB, waits of good senders and good readers."""

    scenario: Scenario
    seconds: float = 0.0
    begun: float = 0.0
    peak: float = 0.0
    after: float = 0.0
    good: dict[str, tuple[Waits, Waits]] = field(default_factory=dict)
    steps: dict[str, dict[str, Waits]] = field(default_factory=dict)
    """What each step of good senders and good readers took under siege."""
    unexpected: dict[str, int] = field(default_factory=dict)
    heard: dict[str, int] = field(default_factory=dict)
    left: dict[str, int] = field(default_factory=dict)
    """Files that no row names, and their octets."""

    def __str__(self) -> str:
        what = self.scenario
        waits = "; ".join(f"{name} {_beside_quiet(*both)}" for name, both in self.good.items())
        size = f"{what.senders} x {what.octets / MIB:.1f} MiB x {what.rounds}"
        memory = f"{self.begun:.0f} -> {self.after:.0f}, peak {self.peak:.0f} MiB"
        told = f"{self.heard} {self.unexpected or ''} {self.left or ''}"
        speed = what.senders * what.octets * what.rounds / max(1e-3, self.seconds - what.stays) / 1e6
        return f"{what.kind:16} {size:22} {self.seconds:6.1f} s  {speed:.0f} MB/s  {memory}  {waits}  {told}"


def _beside_quiet(quiet: Waits, siege: Waits) -> str:
    """Percentiles in milliseconds, and how many times as long the 99th is."""
    cuts = ((name, getattr(quiet, name), getattr(siege, name)) for name in ("p50", "p95", "p99"))
    told = ", ".join(f"{name} {before:.0f} -> {under:.0f}" for name, before, under in cuts)
    return f"{told} ms ({ratio(siege, quiet):.1f}x of {siege.count})"


@dataclass
class Ground:
    """A demo with an LMTP server and a front end of the measure's own; `victim` is whom hostile senders write to."""

    demo: RunningDemo
    lmtp: FrontEnd
    front: FrontEnd
    victim: Account
    good: Account

    def held(self) -> Held:
        """What the LMTP server holds now."""
        return look(self.lmtp.pid, self.lmtp.ops)

    @property
    def root(self) -> Path:
        """Where the store keeps its files."""
        return Path(unquote(urlsplit(str(site_settings(self.demo)["object_store"]["url"])).path))

    def unnamed(self) -> dict[str, int]:
        """Files below the store's root that no row names, unfinished ones included, and their octets."""
        root = self.root
        files = {str(path.relative_to(root)): _octets(path) for path in root.rglob("*") if path.is_file()}
        named = asyncio.run(self._named())
        return {name: octets for name, octets in files.items() if name not in named}

    async def _named(self) -> set[str]:
        connection = await asyncpg.connect(owner_dsn(self.demo))
        try:
            return {row[0] for row in await connection.fetch(NAMED)}
        finally:
            await connection.close()


@contextmanager
def ground(demo: RunningDemo, folder: Path) -> Iterator[Ground]:
    """The site, with a good maildrop of another tenant than the victim's."""
    folder.mkdir(exist_ok=True)
    victim = demo.new_account()
    good = next(account for account in demo.accounts if account.tenant != victim.tenant)
    with ExitStack() as stack:
        lmtp = stack.enter_context(front_end(demo, folder / "lmtp", (LMTP,), database={"connections": 4}))
        front = stack.enter_context(front_end(demo, folder / "front", (TERMINATED,)))
        # What a process keeps from then on (connections to Postgres, threads) is no loss.
        besieged(lmtp.place("lmtp"), Scenario("header_lines", MIB, senders=32), victim.address, [])
        yield Ground(demo, lmtp, front, victim, good)


def measured(on: Ground, scenario: Scenario, quiet_seconds: float = 0.0) -> Row:
    """One scenario, from quiet to quiet; with no seconds of that there is nothing to judge speed by."""
    row, siege = Row(scenario), list[Span]()
    level, unnamed, before = on.held(), set(on.unnamed()), _in_quiet(on, quiet_seconds)
    with _good(on) as programs, peak(on.lmtp.pid) as most:
        row.heard = besieged(on.lmtp.place("lmtp"), scenario, on.victim.address, siege)
    row.steps = {n: {s: Waits.of(took) for s, took in each.steps.items()} for n, each in programs.items()}
    row.unexpected = {word: times for each in programs.values() for word, times in each.unexpected.items()}
    row.seconds, row.begun, row.peak = siege[0][1] - siege[0][0], most.begun, most.most
    row.after = given_back(on.held, level, PATIENCE).memory
    row.left = _left(on, unnamed)
    after = _in_quiet(on, quiet_seconds)
    row.good = {n: (quieter(before[n], after[n]), each.within(*siege)) for n, each in programs.items() if before}
    return row


@contextmanager
def _good(on: Ground) -> Iterator[dict[str, Beside]]:
    """A good sender and a good reader, of another tenant than the victim's."""
    lmtp, pop3, account = on.lmtp.place("lmtp"), on.front.place("terminated"), on.good
    with ExitStack() as stack:
        sender = beside("tests.overload.lmtp_good", *_where(lmtp), account.address)
        reader = beside("tests.overload.lmtp_good", *_where(pop3), account.address, account.password)
        yield {"sender": stack.enter_context(sender), "reader": stack.enter_context(reader)}


def _in_quiet(on: Ground, seconds: float) -> dict[str, Waits]:
    """What good ones wait for so long while nobody else is there."""
    if not seconds:
        return {}
    quiet = list[Span]()
    with _good(on) as programs, span(quiet):
        time.sleep(seconds)
    return {name: each.within(*quiet) for name, each in programs.items()}


def _left(on: Ground, before: set[str]) -> dict[str, int]:
    """What no row names and wasn't there before, once what is being taken away has had its time."""
    end = time.monotonic() + PATIENCE
    while (left := {n: o for n, o in on.unnamed().items() if n not in before}) and time.monotonic() < end:
        time.sleep(0.2)
    return left


def _octets(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def besieged(place: Place, scenario: Scenario, recipient: str, into: list[Span]) -> dict[str, int]:
    """Have the hostile senders come, stay and go, and note when; what they heard.

    That their program begins, on the machine of those it besieges, is no part of it.
    """
    options = {"octets": scenario.octets, "senders": scenario.senders, "rounds": scenario.rounds}
    text = json.dumps(options | {"times": scenario.times, "recipient": recipient, "apart": scenario.apart})
    command = [sys.executable, "-m", "tests.overload.lmtp_hostile", *_where(place), scenario.kind, text]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n", "the hostile senders' program did not begin"
        with span(into):
            process.stdin.write("come\n")
            process.stdin.flush()
            assert process.stdout.readline() == "there\n", "the hostile senders did not come so far"
            time.sleep(scenario.stays)
            said, _ = process.communicate("\n", timeout=600)
    return dict(json.loads(said))


def _where(place: Place) -> Sequence[str]:
    return place.host, str(place.port)
