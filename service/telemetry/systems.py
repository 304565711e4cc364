"""What the systems that Poplar asks are judged by: calls, their failures, blobs, and connections to Postgres.

Owns these metrics, as `metrics.py` does the rest. Refuses to know vendors beyond `labels.VENDORS`.
"""

from collections.abc import Callable

from prometheus_client import Gauge

from service.telemetry import labels
from service.telemetry.later import Counter, Histogram
from service.telemetry.metrics import LONG, QUICK
from service.telemetry.series import by

_first_octets = Histogram("poplar_blob_first_octet_seconds", "From asking for a blob to its first octets", buckets=LONG)
_whole_reads = Histogram(
    "poplar_blob_read_seconds", "From asking for a blob, or a part of 1 MiB, to its last octet", buckets=LONG
)
_store_calls = by(
    Histogram(
        "poplar_store_seconds", "Calls of other systems by vendor and outcome", ["vendor", "outcome"], buckets=QUICK
    ),
    labels.VENDORS,
    labels.STORE_OUTCOMES,
)
_store_errors = by(
    Counter("poplar_store_errors", "Failures of other systems by vendor and kind", ["vendor", "kind"]),
    labels.VENDORS,
    labels.STORE_KINDS,
)
_pool = by(
    Gauge(
        "poplar_pool_connections",
        "Connections to Postgres by role and use",
        ["role", "use"],
        multiprocess_mode="livesum",
    ),
    labels.ROLES,
    labels.POOL_USES,
)
_pool_waiting = by(
    Gauge(
        "poplar_pool_waiting", "Callers that wait for a connection to Postgres", ["role"], multiprocess_mode="livesum"
    ),
    labels.ROLES,
)


def blob_first_octets(seconds: float) -> None:
    """A blob's first octets arrived after `seconds`."""
    _first_octets.observe(seconds)


def blob_read(seconds: float) -> None:
    """A blob was read to its end after `seconds`."""
    _whole_reads.observe(seconds)


def well(vendor: str) -> Callable[[float], None]:
    """What counts the calls of one of `labels.VENDORS` that ended `ok`."""
    return _store_calls(vendor, "ok").observe


def store_called(vendor: str, outcome: str, seconds: float) -> None:
    """A call of `labels.VENDORS` ended `ok`, `refused` (as it should be) or `failed`."""
    _store_calls(vendor, outcome).observe(seconds)


def store_failed(vendor: str, kind: str) -> None:
    """A call of `labels.VENDORS` failed for one of `labels.STORE_KINDS`."""
    _store_errors(vendor, kind).inc()


def pool(role: str, busy: int, idle: int, waiting: int) -> None:
    """The connections to Postgres of one of `labels.ROLES`, now."""
    _pool(role, "busy").set(busy)
    _pool(role, "idle").set(idle)
    _pool_waiting(role).set(waiting)
