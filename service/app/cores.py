"""How many cores this process may use, and so how many threads compute passwords.

Owns what the kernel says of that. A pod on a node of 64 cores sees all of them, and may use as many as its control
group lets it; each thread that computes holds memory (`hashing.argon2`), which counts against the pod's (G15).
"""

import os
from math import ceil
from pathlib import Path

from service.settings.behaviour import HashingSettings

CGROUPS = Path("/sys/fs/cgroup")
MOST_THREADS = 4
"""Threads that compute passwords unless the settings say how many: some 200 first logins a second, in 76 MiB."""


def hashing_threads(settings: HashingSettings) -> int:
    """Threads that compute passwords in a process that serves."""
    return settings.threads or min(MOST_THREADS, usable_cores())


def usable_cores(cgroups: Path | None = None) -> int:
    """Cores that this process may run on, and has time on by its control group's limit; at least one."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, ceil(min(allowed, _limit(cgroups or CGROUPS))))


def _limit(cgroups: Path) -> float:
    """The control group's limit in cores, version 2 or 1; infinite where there is none, or nobody tells."""
    for quota, period in (("cpu.max", ""), ("cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us")):
        try:
            told = (cgroups / quota).read_text().split()
            told += (cgroups / period).read_text().split() if period else []
            return int(told[0]) / int(told[1]) if told[0] not in {"max", "-1"} else float("inf")
        except (OSError, ValueError, IndexError, ZeroDivisionError):
            continue
    return float("inf")
