"""What a traffic needs, from what was measured.

Owns the arithmetic, one function for each component. Every figure is of the busiest hour unless its name says month.
Nothing here is rounded before it is shown, save pods.
"""

import math
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy.capacity.traffic import MONTH, Traffic

HERE = Path(__file__).parent
PART = 5 << 20
PIECE = 1 << 20
DELETED_AT_ONCE = 500
LISTED_AT_ONCE = 1000
LEAST_PODS = 3
GIGA = 1e9

Measured = dict[str, Any]
"""measured.toml, by section."""


def measured() -> Measured:
    """What was measured."""
    return tomllib.loads((HERE / "measured.toml").read_text("utf-8"))


def prices() -> dict[str, dict[str, Any]]:
    """What object stores ask, by name."""
    return tomllib.loads((HERE / "prices.toml").read_text("utf-8"))


@dataclass(frozen=True, slots=True)
class FrontEnds:
    """The POP3 front ends. Cores at the peak; octets of a pod's memory."""

    loop_cores: float
    hashing_cores: float
    pods: int
    sessions_per_pod: float
    pod_octets: float
    computed: float
    """The share of logins whose password is computed anew."""


@dataclass(frozen=True, slots=True)
class Lmtp:
    """LMTP at the peak."""

    cores: float
    pods: int


@dataclass(frozen=True, slots=True)
class Postgres:
    """Postgres at the peak; octets on disk."""

    cores: float
    statements: float
    connections: int
    flushes: float
    wal_octets: float
    rows: float
    messages_octets: float
    audit_octets: float
    other_octets: float

    @property
    def octets(self) -> float:
        """All tables with their indexes."""
        return self.messages_octets + self.audit_octets + self.other_octets


@dataclass(frozen=True, slots=True)
class Redis:
    """Redis at the peak."""

    calls: float
    cores: float
    octets: float


@dataclass(frozen=True, slots=True)
class Objects:
    """The object store: requests in a month, octets held."""

    puts: float
    gets: float
    deletes: float
    lists: float
    octets: float
    reads_a_second: float
    writes_a_second: float

    def cost(self, price: dict[str, Any]) -> dict[str, float]:
        """US dollars in a month, by what they are paid for."""
        asked = {name: getattr(self, name) / 1e6 * price[name] for name in ("puts", "gets", "deletes", "lists")}
        return asked | {"storage": _tiered(self.octets / GIGA, price["storage"])}


@dataclass(frozen=True, slots=True)
class Needs:
    """Everything."""

    front: FrontEnds
    lmtp: Lmtp
    postgres: Postgres
    redis: Redis
    objects: Objects


def needs(t: Traffic, m: Measured) -> Needs:
    """What `t` needs by the figures `m`."""
    front, lmtp = _front(t, m), _lmtp(t, m)
    return Needs(front, lmtp, _postgres(t, m, front.pods + lmtp.pods), _redis(t, m, front), _objects(t))


def computed(t: Traffic, pods: int) -> float:
    """The share of logins whose password is computed anew: it is remembered by one process, and only for a while."""
    within = math.floor(t.remember_seconds * t.polls_per_hour / 3600)
    places = 1 if t.same_pod else pods
    # Computed at one login, remembered at those of the `within` next ones that come to the same process.
    return (1 - t.app_passwords) / (1 + within / places)


def _front(t: Traffic, m: Measured) -> FrontEnds:
    cpu = m["cpu"]
    polls, messages = t.polls * t.peak, t.arrivals * t.peak
    loop = polls * (cpu["poll"] + t.listing * cpu["listing"] + t.tls * cpu["tls"])
    loop += messages * (cpu["message"] + t.octets / 1e6 * cpu["megabyte"])
    pods, hashing = LEAST_PODS, 0.0
    for _ in range(3):
        hashing = polls * computed(t, pods) * cpu["argon2id"]
        # A process has one event loop, so that its share of a core bounds a pod whatever cores it has besides.
        wanted = max(loop / t.use, (loop + hashing) / (t.use * t.pod_cores))
        pods = max(LEAST_PODS, math.ceil(wanted))
    sessions = polls * t.session_seconds / pods
    each = m["memory"]["session_tls"] * t.tls + m["memory"]["session"] * (1 - t.tls)
    return FrontEnds(loop, hashing, pods, sessions, m["memory"]["process"] + sessions * each, computed(t, pods))


def _lmtp(t: Traffic, m: Measured) -> Lmtp:
    arrivals = t.arrivals * t.peak / t.recipients
    cores = arrivals * (m["cpu"]["delivery"] + t.octets / 1e6 * m["cpu"]["delivery_megabyte"])
    return Lmtp(cores, max(2, math.ceil(cores / t.use)))


def _postgres(t: Traffic, m: Measured, pods: int) -> Postgres:
    cpu, db = m["cpu"], m["postgres"]
    polls, arrivals, emptying = (rate * t.peak for rate in (t.polls, t.arrivals, t.emptying))
    fetching = min(polls, arrivals)
    statements = polls * (2 + t.listing) + fetching + emptying + arrivals * (1 + 1 / t.recipients)
    cores = polls * (cpu["postgres_poll"] + t.listing * cpu["postgres_listing"])
    cores += arrivals * (cpu["postgres_delivery"] + cpu["postgres_removal"] * (1 - t.keep))
    # One use of a credential in a quarter of an hour is kept.
    uses = min(polls, t.maildrops / 900)
    return Postgres(
        cores,
        statements + uses,
        pods * db["connections_each"],
        arrivals / t.recipients + emptying + uses,
        polls * db["wal_poll"]
        + arrivals * (db["wal_delivery"] + db["wal_removal"] * (1 - t.keep))
        + uses * db["wal_use"],
        t.rows,
        t.rows * db["message_octets"],
        t.emptying * 86_400 * t.audit_days * db["audit_octets"],
        t.maildrops * db["maildrop_octets"] + t.owners * db["tenant_octets"],
    )


def _redis(t: Traffic, m: Measured, front: FrontEnds) -> Redis:
    polls, redis = t.polls * t.peak, m["redis"]
    sessions = front.sessions_per_pod * front.pods
    calls = polls * redis["calls_poll"] + sessions / 10
    octets = t.maildrops * redis["octets_maildrop"] + sessions * redis["octets_session"]
    return Redis(calls, calls * redis["cpu_call"], octets)


def _objects(t: Traffic) -> Objects:
    blobs = t.arrivals / t.recipients * MONTH
    parts = 1 if t.octets <= PART else math.ceil(t.octets / PART) + 2
    pieces = max(1, math.ceil(t.octets / PIECE))
    sweeps = t.sweeps_per_day * 30
    # Each sweep asks twice for each tenant, and lists what was written since the day before.
    lists = sweeps * (2 * t.owners + 1 + 1.5 * blobs / 30 / LISTED_AT_ONCE)
    reads = t.arrivals * MONTH * pieces
    per_second = t.peak / MONTH
    return Objects(
        blobs * parts,
        reads,
        max(blobs / DELETED_AT_ONCE, 0),
        lists,
        t.rows / t.recipients * t.octets,
        reads * per_second,
        blobs * parts * per_second,
    )


def _tiered(gigabytes: float, tiers: list[list[float]]) -> float:
    """Tiers are [up to so many gigabytes, price of one]; the last one's bound is 0 for none."""
    cost = below = 0.0
    for bound, price in tiers:
        top = min(gigabytes, bound) if bound else gigabytes
        cost += max(0.0, top - below) * price
        below = max(below, top)
    return cost
