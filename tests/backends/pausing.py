"""Stops a process in its tracks, and returns only once it stands.

Owns the wait: a signal is only asked for when `kill` returns, and a thread on another core may answer once more.
"""

import os
import signal
import time
from pathlib import Path

GIVEN_UP_AFTER = 10.0


def pause(pid: int) -> None:
    """Stop every thread of `pid`. Raises ProcessLookupError when it is gone, TimeoutError when it never stands."""
    os.kill(pid, signal.SIGSTOP)
    end = time.monotonic() + GIVEN_UP_AFTER
    while not all(_stands(thread) for thread in Path(f"/proc/{pid}/task").iterdir()):
        if time.monotonic() > end:
            raise TimeoutError(f"process {pid} does not stop")
        time.sleep(0.001)


def _stands(thread: Path) -> bool:
    try:
        status = (thread / "stat").read_text()
    except FileNotFoundError:
        return True
    return status.rpartition(")")[2].split()[0] in {"T", "t", "Z", "X"}
