"""What a process holds, and whether it gives it back: descriptors, memory, tasks, leases, sessions, series of metrics.

Owns the reading of /proc (Linux) and of the process's own /metrics. Refuses to know what was done to the process.
Memory is judged by doing the same twice: what the first time needs (buffers of libraries, arenas of the allocator)
stays with the process and is no leak; a second time that stays as well is one.
"""

import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.backends.demo import Place

MEBIBYTE = 1024 * 1024
BACKENDS = 8
"""Descriptors that may be more: connections to backends, which come with work and are counted some seconds later."""
PATIENCE = 90.0
"""Seconds within which everything must be given back; gauges are set every 5 s at most."""


@dataclass(frozen=True)
class Held:
    """A process at one moment; memory is its resident set, in MiB."""

    descriptors: int
    """Without the connections that it keeps to Postgres: their number follows the work of the last minutes."""
    memory: float
    tasks: int
    leases: int
    sessions: int
    series: int
    """How many series /metrics has: it must not grow with clients (G17)."""

    def beyond(self, level: "Held", allowance: float = float("inf")) -> dict[str, float]:
        """What is held now and wasn't at `level`, memory of more than `allowance` MiB among it; empty once all is back.

        Of the series of metrics some come with what is first counted.
        """
        names = ("descriptors", "tasks", "leases", "sessions")
        more = {name: getattr(self, name) - getattr(level, name) for name in names}
        more["descriptors"] -= BACKENDS
        more["memory"] = self.memory - level.memory - allowance
        return {name: amount for name, amount in more.items() if amount > 0}


def look(pid: int, ops: Place) -> Held:
    """What the process holds now; `ops` is where its health and metrics answer."""
    lines = [line for line in _metrics(ops) if not line.startswith("#")]
    return Held(
        descriptors=sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir()) - _sum(lines, "poplar_pool_connections"),
        memory=resident(pid) / MEBIBYTE,
        tasks=_sum(lines, "poplar_tasks"),
        leases=_sum(lines, "poplar_leases"),
        sessions=_sum(lines, "poplar_sessions"),
        series=len(lines),
    )


def resident(pid: int, mark: str = "VmRSS") -> int:
    """Octets of memory that the process has, what it shares with others included."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith(mark)).split()[1]) * 1024


def given_back(
    see: Callable[[], Held], level: Held, allowance: float = float("inf"), patience: float = PATIENCE
) -> Held:
    """Wait until nothing is held beyond `level`, and memory by `allowance` MiB at most; fail with what still is."""
    end = time.monotonic() + patience
    while more := (now := see()).beyond(level, allowance):
        assert time.monotonic() < end, f"still held after {patience:.0f} s: {more}"
        time.sleep(0.1)
    return now


@dataclass
class Peak:
    """The most memory there was, in MiB; `begun` is what there was at first."""

    begun: float
    most: float = 0.0

    @property
    def risen(self) -> float:
        """MiB above the beginning."""
        return self.most - self.begun


@contextmanager
def peak(pid: int) -> Iterator[Peak]:
    """The most memory that the process has until the block ends: the kernel's own mark, so that no moment is missed."""
    # proc(5): writing 5 sets the mark of the peak, VmHWM, to what is resident now.
    Path(f"/proc/{pid}/clear_refs").write_text("5")
    seen = Peak(begun=resident(pid) / MEBIBYTE)
    try:
        yield seen
    finally:
        seen.most = resident(pid, "VmHWM") / MEBIBYTE


def _metrics(ops: Place) -> list[str]:
    with urllib.request.urlopen(f"http://{ops.host}:{ops.port}/metrics", timeout=60) as answer:
        return list(answer.read().decode().splitlines())


def _sum(lines: list[str], name: str) -> int:
    """The sum of all series of this name."""
    return round(sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith((f"{name} ", f"{name}{{"))))
