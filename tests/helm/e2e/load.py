"""Mail programs at work while a cluster changes: sessions one after another, each of which must end with its QUIT.

Owns the load, which is small and bounded, and what counts as a lost session: one that had logged in and got no `+OK` to
QUIT. A connection that is refused before login is tried again, as mail programs do.
"""

import poplib
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

BEFORE_QUIT = 2.0
WORKERS = 8


@dataclass
class Tally:
    """What came of it."""

    done: int = 0
    retried: int = 0
    lost: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __str__(self) -> str:
        return f"{self.done} sessions done, {self.retried} tried again before login, {len(self.lost)} lost"

    def one(self, logged_in: bool, error: Exception | None) -> None:
        with self.lock:
            if error is None:
                self.done += 1
            elif logged_in:
                self.lost.append(repr(error))
            else:
                self.retried += 1


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
