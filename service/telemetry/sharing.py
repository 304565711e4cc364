"""The metrics of what tenants share in fair turns: who waits, how long, and who is turned away.

Implements `mail.turns.Told`. Label values come from `labels.SHARED` alone: no tenant has a series (G17).
"""

from prometheus_client import Gauge

from service.telemetry import labels, spans
from service.telemetry.labels import closed
from service.telemetry.later import Counter, Histogram
from service.telemetry.series import by

WAITS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
WORTH_SHOWING = 0.001
"""Seconds of a wait that has a span."""

_waits = by(
    Histogram(
        "poplar_turn_wait_seconds",
        "Waits for a turn at what tenants share; without those that found room",
        ["resource"],
        buckets=WAITS,
    ),
    labels.SHARED,
)
_refused = by(
    Counter("poplar_turns_refused", "Callers refused where their tenant had its share already", ["resource"]),
    labels.SHARED,
)
_waiting = by(
    Gauge("poplar_turns_waiting", "Callers that wait for their turn now", ["resource"], multiprocess_mode="livesum"),
    labels.SHARED,
)


def waited(resource: str, seconds: float) -> None:
    """A caller got its turn at one of `labels.SHARED` after `seconds`."""
    _waits(resource).observe(seconds)
    # A session waits for the loop at each of its steps, a long text at each piece: those would be most of its spans.
    if resource not in {"loop", "long_texts"} and seconds >= WORTH_SHOWING:
        spans.past(f"turn at {closed(resource, labels.SHARED)}", seconds)


def turned_away(resource: str) -> None:
    """A caller was refused a turn, or gave up waiting for it."""
    _refused(resource).inc()


def waiting(resource: str, callers: int) -> None:
    """So many callers wait now."""
    _waiting(resource).set(callers)
