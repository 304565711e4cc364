"""One cluster at a time: all of them would share one folder of files, addresses and the machine's knobs.

Owns the lock. Whoever began a cluster holds it, and so does all that lives within: one whose beginner was killed is
not taken for gone while anything of it runs.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager

from tests.cluster.place import TOOLS
from tests.cluster.servers import ClusterError

LOCK = TOOLS / "lock"


@contextmanager
def alone() -> Iterator[int]:
    """Gives the lock's descriptor, for the cluster's first process to inherit. Raises ClusterError."""
    TOOLS.mkdir(parents=True, exist_ok=True)
    with LOCK.open("a+", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            who = lock.read().strip() or "unknown"
            text = f"A cluster stands here already or is being built, by process {who}: `kill {who}` ends it."
            raise ClusterError(text) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield lock.fileno()
