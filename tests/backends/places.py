"""Where tests keep what lives for a moment: in memory where there is plenty.

Owns that choice, what counts as plenty, and the end of what a killed process left there.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

ROOM = 4 * 2**30
"""Octets that an engine of Docker's may keep, which took 2 GB; the databases of all processes took half of one."""
MEMORY = Path("/dev/shm")  # noqa: S108
NAME = "poplar-tests-"


@contextmanager
def short_lived(usual: Path) -> Iterator[Path]:
    """A folder in memory, where there is room; else `usual`."""
    if memory_available() < 2 * ROOM or not _is_roomy(MEMORY):
        yield usual
        return
    _remove_what_was_left()
    with TemporaryDirectory(prefix=f"{NAME}{os.getpid()}-", dir=MEMORY, ignore_cleanup_errors=True) as name:
        yield Path(name)


def memory_available() -> int:
    """Octets of memory that this machine could still give; 0 where it doesn't say."""
    said = Path("/proc/meminfo")
    lines = said.read_text("ascii").splitlines() if said.exists() else []
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")), 0)


def _is_roomy(place: Path) -> bool:
    return place.is_dir() and os.access(place, os.W_OK) and shutil.disk_usage(place).free >= ROOM


def _remove_what_was_left() -> None:
    """What belongs to a process that is no more, and so couldn't remove it."""
    for folder in MEMORY.glob(f"{NAME}*"):
        pid = folder.name.removeprefix(NAME).split("-")[0]
        if not Path("/proc", pid).exists():
            # Another user's can't be removed.
            with suppress(OSError):
                shutil.rmtree(folder)
