"""A siege of a front end: what good clients waited, what it cost, and whether everything was given back.

Owns the order: quiet, siege, quiet, and the siege once more, as only what a second one leaves behind as well is a leak.
Refuses to judge speed. The hostile clients' program is the only one that puts load on.
"""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from tests.overload.accounts import HOSTILE
from tests.overload.held import Held, given_back, look, peak
from tests.overload.kernel import unsent
from tests.overload.sieges import Siege
from tests.overload.site import Site
from tests.overload.waits import Waits, beside
from tests.system.front_end import FrontEnd

PATIENCE = 900.0
ALLOWANCE = 40.0
"""MiB by which a process may stay larger: it gives free memory back only from 32 MiB on."""


@dataclass
class Visit:
    """What good clients saw."""

    waits: Waits
    unexpected: dict[str, int]
    steps: dict[str, Waits] = field(default_factory=dict)
    """What each step of their sessions took."""


@dataclass
class Besieged:
    """What one siege did: what was held in it and after it, and the memory it rose by, in MiB."""

    siege: Siege
    level: Held
    during: Held
    after: Held
    risen: float
    unsent: float
    """MiB that the kernel holds of what was written to the hostile clients."""
    good: Visit
    heard: dict[str, Any] = field(default_factory=dict)

    @property
    def each(self) -> float:
        """KiB at the peak for each hostile client."""
        return self.risen * 1024 / self.siege.clients


@contextmanager
def hostile(siege: Siege, port: int) -> Iterator[dict[str, Any]]:
    """The hostile clients, once all are there, until the block ends; then what they heard."""
    options = siege.options | {"port": port, "clients": siege.clients, "tenants": HOSTILE}
    command = [sys.executable, "-m", "tests.overload.hostile", siege.kind, json.dumps(options)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    heard: dict[str, Any] = {}
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "there\n", "the hostile clients did not come"
        yield heard
    finally:
        heard |= json.loads(process.communicate(timeout=PATIENCE)[0].splitlines()[-1])


def visit(front: FrontEnd, seconds: float) -> Visit:
    """Good clients for so long; each has one session at least."""
    with beside("tests.overload.good", str(front.place("pop3").port)) as good:
        time.sleep(seconds)
    steps = {step: Waits.of(seconds) for step, seconds in good.steps.items()}
    return Visit(Waits.of([took for _, took in good.sessions]), good.unexpected, steps)


def besiege(place: Site, front: FrontEnd, siege: Siege, seconds: float, allowance: float = ALLOWANCE) -> Besieged:
    """Besiege `front`, with good clients there for so many seconds, and wait until everything is given back."""
    see = partial(look, front.pid, front.ops)
    level, port = _settled(see), front.place(siege.listener).port
    with peak(front.pid) as seen, hostile(siege, port) as heard:
        good = visit(front, seconds)
        during, waiting = see(), unsent(port)
    after = given_back(see, level, allowance + siege.keeps)
    assert place.leases() == 0
    return Besieged(siege, level, during, after, seen.risen, waiting, good, heard)


def troubles(front: FrontEnd) -> list[str]:
    """Lines of the log that no client may cause."""
    told = []
    for line in front.command.said.splitlines():
        said = json.loads(line) if line.startswith("{") else {"level": "error"}
        if said.get("level") in {"error", "critical"} or "exception" in said:
            told.append(line[:2000])
    return told


def _settled(see: Callable[[], Held]) -> Held:
    """What is held once those who were there before are gone."""
    now = see()
    while now.sessions or now.leases:
        time.sleep(0.1)
        now = see()
    return now
