"""Mail programs at work while a cluster changes: sessions one after another, each of which must end with its QUIT.

Owns the load, which is small and bounded, and what counts as a lost session: one that had logged in and got no `+OK` to
QUIT. What fails before login is tried again, as mail programs do, and why is kept, as the client saw it.
"""

import poplib
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

BEFORE_QUIT = 2.0
WORKERS = 8


@dataclass
class Tally:
    """What came of it."""

    done: int = 0
    retried: list[tuple[float, str]] = field(default_factory=list)
    """Seconds since the beginning, and what the client saw."""
    lost: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)
    began: float = field(default_factory=time.time)

    def __str__(self) -> str:
        since = time.strftime("%H:%M:%S", time.gmtime(self.began))
        said = f"since {since}: {self.done} sessions done, {len(self.retried)} tried again before login, "
        said += f"{len(self.lost)} lost"
        for why, times in Counter(why for _, why in self.retried).most_common():
            when = ", ".join(f"{seconds:.1f}" for seconds, each in self.retried if each == why)
            said += f"\n  {times} times {why} after {when} s"
        return said

    def one(self, logged_in: bool, error: Exception | None) -> None:
        with self.lock:
            if error is None:
                self.done += 1
            elif logged_in:
                self.lost.append(repr(error))
            else:
                self.retried.append((time.time() - self.began, " at ".join([repr(error), *_notes(error)])))


def _notes(error: Exception) -> list[str]:
    """Where it happened, if `connect` said so."""
    return list(getattr(error, "__notes__", []))


@contextmanager
def sessions(connect: Callable[[int], poplib.POP3], accounts: int = WORKERS) -> Iterator[Tally]:
    """Sessions over `connect`, given an account's number, until the block ends; each holds on for a moment."""
    tally, ended = Tally(), threading.Event()
    workers = [
        threading.Thread(target=_work, args=(connect, number, tally, ended), daemon=True) for number in range(accounts)
    ]
    for worker in workers:
        worker.start()
    try:
        yield tally
    finally:
        ended.set()
        for worker in workers:
            worker.join(60)


def _work(connect: Callable[[int], poplib.POP3], number: int, tally: Tally, ended: threading.Event) -> None:
    while not ended.is_set():
        logged_in = False
        try:
            client = connect(number)
            logged_in = True
            client.stat()
            # Long enough that a pod's end falls into it.
            time.sleep(BEFORE_QUIT)
            client.noop()
            client.quit()
        except (TimeoutError, OSError, EOFError, poplib.error_proto) as error:
            tally.one(logged_in, error)
            ended.wait(0.2)
        else:
            tally.one(logged_in, None)
