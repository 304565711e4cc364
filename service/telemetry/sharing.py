"""The metrics of what tenants share in fair turns: who waits, how long, and who is turned away.

Implements `mail.turns.Told`. Label values come from `labels.SHARED` alone: no tenant has a series (G17).
"""

from prometheus_client import Counter, Gauge

from service.telemetry import labels, spans
from service.telemetry.histograms import Histogram
from service.telemetry.labels import closed
from service.telemetry.series import series

WAITS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
WORTH_SHOWING = 0.001
"""Seconds of a wait that has a span."""

_waits = Histogram(
    "poplar_turn_wait_seconds", "Waits for a turn at what tenants share; without those that found room", ["resource"],
    buckets=WAITS,
)  # fmt: skip
_refused = Counter("poplar_turns_refused", "Callers refused where their tenant had its share already", ["resource"])
_waiting = Gauge(
    "poplar_turns_waiting", "Callers that wait for their turn now", ["resource"], multiprocess_mode="livesum"
)


def waited(resource: str, seconds: float) -> None:
    """A caller got its turn at one of `labels.SHARED` after `seconds`."""
    known = closed(resource, labels.SHARED)
    series(_waits, known).observe(seconds)
    # A session waits for the loop at each of its steps: those waits would be most of its spans.
    if known != "loop" and seconds >= WORTH_SHOWING:
        spans.past(f"turn at {known}", seconds)


def turned_away(resource: str) -> None:
    """A caller was refused a turn, or gave up waiting for it."""
    series(_refused, closed(resource, labels.SHARED)).inc()


def waiting(resource: str, callers: int) -> None:
    """So many callers wait now."""
    series(_waiting, closed(resource, labels.SHARED)).set(callers)
