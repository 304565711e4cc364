"""Many clients of one maildrop while one thing after another goes wrong: what they were told must fit together.

G1-G4, G7-G9, G14, G18 under F1, F2, F3, F4 and connections that Postgres ends. The clients never agree on anything, and
how they interleave is left to the machine; the verdict holds for every interleaving.
"""

import os
import signal
import time
from collections.abc import Callable

from tests.backends.postgres import execute
from tests.faults.history import Clients
from tests.faults.site import LEASE, Site, paused

END_CONNECTIONS = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"


def nothing(site: Site) -> None:
    """Let them be."""


def postgres_ends_connections(site: Site) -> None:
    execute(site.settings.database.url_for("owner"), END_CONNECTIONS + " AND pid <> pg_backend_pid()")


def redis_forgets(site: Site) -> None:
    with site.valkey.client() as client:
        client.flushall()


def redis_hangs(site: Site) -> None:
    with paused(site.valkey.pid):
        time.sleep(LEASE / 2)


def a_front_end_pauses(site: Site) -> None:
    with paused(site.pid("a")):
        time.sleep(1.5 * LEASE)


def a_front_end_is_killed(site: Site) -> None:
    os.kill(site.pid("a"), signal.SIGKILL)
    site.commands["a"].process.wait()
    site.run("a", "serve")


def lmtp_is_killed(site: Site) -> None:
    os.kill(site.pid("lmtp"), signal.SIGKILL)
    site.commands["lmtp"].process.wait()
    site.run("lmtp", "lmtp")


MISHAPS: tuple[Callable[[Site], None], ...] = (
    *(nothing, postgres_ends_connections, redis_forgets, a_front_end_pauses, redis_hangs, redis_forgets),
    *(lmtp_is_killed, a_front_end_is_killed, postgres_ends_connections),
)


def test_whatever_goes_wrong_nothing_is_lost_doubled_shortened_or_removed_by_two(site: Site) -> None:
    clients = Clients(site)
    with clients.at_work(readers=3, senders=2):
        for mishap in MISHAPS:
            before = clients.history.sessions
            mishap(site)
            clients.await_sessions(before + 5)
    assert clients.verdict("b") == []
    assert clients.history.removed
