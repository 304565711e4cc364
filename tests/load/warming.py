"""What a server is made to do before anything counts.

Owns that each process remembers each user's password, and that what follows first logins is over: verifiers of a cheap
scheme are renewed beside them, 20 ms of processor time each, which belong to no poll.
"""

import time

from tests.load.accounting import cpu_of
from tests.load.mail import Kind
from tests.load.target import Target

ROUNDS = 6
"""The kernel spreads connections over processes: after so many, 3 users in 100 are new to one of two processes."""
QUIET = 0.1
"""The part of a core that a server without clients may use."""
LOOK_EVERY = 0.25
PATIENCE = 30.0


def warm(target: Target, kind: Kind, processes: int) -> None:
    """Let every user of `kind` log in, in each of so many processes."""
    each_once(target, kind)
    settle(target)
    for _ in range(ROUNDS if processes > 1 else 1):
        each_once(target, kind)
    settle(target)


def each_once(target: Target, kind: Kind) -> None:
    """Have each user of `kind` poll once."""
    clients = min(16, kind.maildrops)
    target.load(kind, mode="poll", clients=clients, limit=kind.maildrops)


def settle(target: Target) -> None:
    """Return once the server has nothing to do, or after PATIENCE."""
    end, before = time.monotonic() + PATIENCE, sum(cpu_of(target.components).values())
    while time.monotonic() < end:
        time.sleep(LOOK_EVERY)
        now = sum(cpu_of(target.components).values())
        if now - before <= QUIET * LOOK_EVERY:
            return
        before = now
