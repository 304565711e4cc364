"""Faults of room: connections, descriptors, memory, the pool of Postgres, the event loop, the way to the greeting.

Owns these drills. Limits are small, so that a few clients reach them.
"""

import asyncio
import os
import resource
import signal
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from pathlib import Path

import asyncpg

from tests.backends.demo import Place
from tests.deploy.alarms.clients import deliver, knock, log_in, open_session
from tests.deploy.alarms.drill import Drill, Scene
from tests.deploy.alarms.drills.scenes import scene_of
from tests.deploy.alarms.ground import Ground
from tests.system.clients.maildrop import trusting
from tests.system.front_end import IMPLICIT, POP3, TERMINATED, front_end

BALANCED = POP3 | {"name": "balanced", "tls": "terminated", "proxy_protocol": "required", "trusted": ["192.0.2.0/24"]}
SLOW_HELLO = 1.5
"""Seconds after which a client begins its handshake."""


@contextmanager
def nearly_full(ground: Ground) -> Iterator[Scene]:
    """Users of one tenant who log in and stay, as many as are let in."""
    with (
        ExitStack() as sessions,
        front_end(ground.demo, ground.fresh("front"), (TERMINATED,), limits={"connections": 20}) as front,
    ):
        place, maildrops = front.place("terminated"), ground.maildrops(16)

        def come() -> None:
            for each in maildrops:
                sessions.callback(open_session(each, place).close)

        yield scene_of(front, inject=come, mend=sessions.close)


@contextmanager
def flooded(ground: Ground) -> Iterator[Scene]:
    """Strangers, each of whom takes the place of one who came before and hasn't logged in yet."""
    with front_end(ground.demo, ground.fresh("front"), (TERMINATED,), limits={"connections": 8}) as front:
        place, here = front.place("terminated"), threading.Event()

        def flood() -> None:
            if here.is_set():
                with ExitStack() as stack:
                    for _ in range(100):
                        stack.enter_context(socket.create_connection((place.host, place.port), 5))

        yield scene_of(front, inject=here.set, mend=here.clear, rounds=[flood, flood])


@contextmanager
def out_of_descriptors(ground: Ground) -> Iterator[Scene]:
    """A process that may open few more files than it has open."""
    with (
        ExitStack() as sockets,
        front_end(ground.demo, ground.fresh("front"), (TERMINATED,)) as front,
    ):
        place, usual = front.place("terminated"), resource.prlimit(front.pid, resource.RLIMIT_NOFILE)

        def starve() -> None:
            open_now = len(list(Path(f"/proc/{front.pid}/fd").iterdir()))
            resource.prlimit(front.pid, resource.RLIMIT_NOFILE, (open_now + 10, usual[1]))
            for _ in range(20):
                sockets.enter_context(socket.create_connection((place.host, place.port), 10))

        def feed() -> None:
            resource.prlimit(front.pid, resource.RLIMIT_NOFILE, usual)

        yield scene_of(front, inject=starve, mend=feed)


@contextmanager
def stranger_as_balancer(ground: Ground) -> Iterator[Scene]:
    """A balancer whose address is not among those that are believed."""
    with front_end(ground.demo, ground.fresh("front"), (BALANCED,)) as front:
        there = threading.Event()

        def knocks() -> None:
            if there.is_set():
                knock(front.place("balanced"), b"PROXY TCP4 198.51.100.7 192.0.2.9 50000 110\r\n")

        yield scene_of(front, inject=there.set, mend=there.clear, rounds=[knocks])


@contextmanager
def listings_held(ground: Ground) -> Iterator[Scene]:
    """Users of one tenant whose sessions stay open and hold their listings."""
    with (
        ExitStack() as sessions,
        front_end(ground.demo, ground.fresh("front"), (TERMINATED,), limits={"listing_octets": 32 * 50}) as front,
    ):
        maildrops = ground.maildrops(8)
        for each in maildrops:
            deliver(each, ground.demo.place("lmtp"), 10)

        def list_all() -> None:
            for each in maildrops:
                wire = open_session(each, front.place("terminated"))
                sessions.callback(wire.close)
                wire.sock.sendall(b"LIST\r\n")

        yield scene_of(front, inject=list_all, mend=sessions.close)


class Lock:
    """A table that somebody has locked and forgot, as a migration by hand does."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._loop = asyncio.new_event_loop()

    def take(self) -> None:
        """Lock it, and wait for nothing."""
        dsn = self._ground.settings.database.url_for("owner")
        self._connection = self._loop.run_until_complete(
            asyncpg.connect(dsn, server_settings={"application_name": "forgotten-psql"})
        )
        self._loop.run_until_complete(self._connection.execute("BEGIN; LOCK TABLE maildrops"))

    def end(self) -> None:
        """End the connection, as the runbook has it."""
        self._ground.sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'forgotten-psql'"
        )
        self._connection.terminate()
        self._loop.close()


@contextmanager
def table_locked(ground: Ground) -> Iterator[Scene]:
    """Logins while a statement of somebody else keeps them from a table."""
    pool = {"connections": 2, "deadline": 1}
    with front_end(ground.demo, ground.fresh("front"), (TERMINATED,), database=pool) as front:
        lock, place = Lock(ground), front.place("terminated")
        rounds = [partial(log_in, each, place) for each in ground.maildrops(12)]
        yield scene_of(front, inject=lock.take, mend=lock.end, rounds=rounds)


class Stalls:
    """Stops a process for a while, again and again, as a starved or throttled node does."""

    def __init__(self, pid: int, seconds: float = 0.5, every: float = 1.0) -> None:
        self._pid = pid
        self._seconds = seconds
        self._every = every
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._go_on)

    def begin(self) -> None:
        """Stall from now on."""
        self._thread.start()

    def end(self) -> None:
        """Let it run again."""
        self._over.set()
        self._thread.join()

    def _go_on(self) -> None:
        while not self._over.is_set():
            os.kill(self._pid, signal.SIGSTOP)
            time.sleep(self._seconds)
            os.kill(self._pid, signal.SIGCONT)
            self._over.wait(self._every - self._seconds)


@contextmanager
def stalls(ground: Ground) -> Iterator[Scene]:
    """A front end that stands still for half of each second."""
    with front_end(ground.demo, ground.fresh("front"), (TERMINATED,)) as front:
        stalling = Stalls(front.pid)
        rounds = [partial(log_in, each, front.place("terminated")) for each in ground.maildrops(1)]
        yield scene_of(front, inject=stalling.begin, mend=stalling.end, rounds=rounds)


def hello(place: Place, context: ssl.SSLContext, slow: threading.Event) -> None:
    """A client of TLS that may take its time."""
    with socket.create_connection((place.host, place.port), 30) as sock:
        if slow.is_set():
            time.sleep(SLOW_HELLO)
        with closing(context.wrap_socket(sock, server_hostname=place.host)) as private:
            private.recv(100)


@contextmanager
def slow_handshakes(ground: Ground) -> Iterator[Scene]:
    """Clients whose way to the front end takes long, at its own TLS."""
    with front_end(ground.demo, ground.fresh("front"), (IMPLICIT,)) as front:
        slow, context = threading.Event(), trusting(ground.demo)
        rounds = [partial(hello, front.place(), context, slow) for _ in range(3)]
        yield scene_of(front, inject=slow.set, mend=slow.clear, rounds=rounds)


DRILLS = {
    "PoplarConnectionsNearlyFull": Drill(
        "users of one tenant stay logged in, as many as it may have",
        "they leave",
        nearly_full,
        (
            ("poplar_sessions", r'state="transaction"\} 16'),
            ("poplar_turns_refused_total", r""),
            ("poplar session list", r"^user-.* orchard "),
        ),
    ),
    "PoplarConnectionsRejected": Drill(
        "the limit of open files is ten above what is open (prlimit), and twenty clients come",
        "the limit is raised again",
        out_of_descriptors,
        (
            ("poplar_connections_rejected_total", r'why="exhausted"\} [0-9.]*[1-9]'),
            ("poplar_limit", r"\} 0"),
            ("/proc/1/fd", r"^([0-9]+)\nMax open files +\1 "),
            ("kubectl logs", r'"why":"exhausted".*Too many open files'),
        ),
    ),
    "PoplarConnectionsRejected/flood": Drill(
        "strangers open a hundred connections at a time, where eight may be",
        "they stop",
        flooded,
        (
            ("poplar_connections_rejected_total", r'why="shed"\} [0-9.]*[1-9]'),
            ("poplar_limit", r"\} [0-9]"),
            ("/proc/1/fd", r"Max open files"),
            ("kubectl logs", r'"why":"shed"'),
        ),
    ),
    "PoplarBalancerNotTrusted": Drill(
        "a balancer sends PROXY headers from an address that is not trusted",
        "it stops",
        stranger_as_balancer,
        (
            ("poplar_connections_rejected_total", r'why="untrusted"\} [0-9.]*[1-9]'),
            ("kubectl logs", r'"why":"untrusted","client":"127\.0\.0\.1"'),
            ("poplar settings", r"192\.0\.2\.0/24"),
        ),
    ),
    "PoplarMemoryBudgetNearlyFull": Drill(
        "users of one tenant hold all listings that it may have",
        "they leave",
        listings_held,
        (
            ("poplar_budget_octets", r'budget="listings", .*\} 1[0-9]{3}'),
            ("poplar_limit", r'what="listings"\} 1600'),
            ("poplar_turns_waiting", r'resource="listings"\} [1-9]'),
            ("poplar_turns_refused_total", r""),
            ("poplar session list", r"user-"),
        ),
    ),
    "PoplarPoolWaits": Drill(
        "somebody locks a table by hand and forgets it",
        "their connection is ended (pg_terminate_backend)",
        table_locked,
        (
            ("poplar_pool_connections", r'role="front", use="busy"\} 2'),
            ("poplar_store_seconds_bucket", r"postgres"),
            ("pg_stat_activity", r"'forgotten-psql', 'state': 'idle in transaction'"),
        ),
    ),
    "PoplarEventLoopLate": Drill(
        "the process stands still for half of each second (SIGSTOP, SIGCONT)",
        "it runs again",
        stalls,
        (
            ("poplar_loop_lag_seconds_bucket", r"\} 0\.[2-9]|\} [1-9]"),
            ("process_cpu_seconds_total", r"\} 0\."),
            ("cpu.stat", r"usage_usec|nr_throttled"),
            ("os.kill", r""),
            ("kubectl logs", r'most recent call first|File ".*", line'),
        ),
    ),
    "PoplarGreetingBudgetBurns": Drill(
        f"clients begin their TLS handshake after {SLOW_HELLO} s",
        "they begin at once",
        slow_handshakes,
        (
            ("poplar_greeting_seconds_bucket", r'listener="own"\} [12]'),
            ("poplar_connections_rejected_total", r""),
            ("poplar_loop_lag_seconds_bucket", r"\} 0\.0"),
        ),
        window="1h",
    ),
}
