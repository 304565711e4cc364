"""What processes have used, as the kernel accounts for it: processor time and memory of a process and all below it.

Owns the reading of /proc (Linux). Time of children that ended is in their parent's account, so nothing is lost where a
server makes a process for each connection. Memory is the proportional set size: what is shared is shared out.
"""

import os
from collections.abc import Mapping
from pathlib import Path

from tests.backends.demo import offspring

TICK = 1.0 / os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid: int) -> float:
    """Processor time, user and system, of a process, those below it, and those of them that have ended."""
    return sum(map(_own_seconds, _all(pid)))


def pss_kib(pid: int) -> int:
    """Memory of a process and those below it, KiB."""
    return sum(map(_own_kib, _all(pid)))


def cpu_of(components: Mapping[str, int]) -> dict[str, float]:
    """Processor time of each component, by the process at its head."""
    return {name: cpu_seconds(pid) for name, pid in components.items()}


def used(before: Mapping[str, float], after: Mapping[str, float]) -> dict[str, float]:
    """What each component used between two looks."""
    return {name: round(after[name] - before[name], 3) for name in after}


def _all(pid: int) -> set[int]:
    return {pid} | offspring(pid)


def _own_seconds(pid: int) -> float:
    try:
        fields = (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return sum(map(int, fields[11:15])) * TICK


def _own_kib(pid: int) -> int:
    try:
        lines = (Path("/proc") / str(pid) / "smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)
