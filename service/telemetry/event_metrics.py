"""Metrics of the event stream: what each sink was handed, what it lost, what waits.

Owns two series for each sink; the sinks are few and their names a closed set (G17). Refuses to know any event.
"""

from prometheus_client import Gauge

from service.telemetry.later import Counter
from service.telemetry.series import by

SINKS = frozenset({"file", "webhook", "recent"})
OUTCOMES = frozenset({"delivered", "repeated", "dropped"})

_events = by(
    Counter("poplar_events", "Events by sink and what came of them; repeated: tried again", ["sink", "outcome"]),
    SINKS,
    OUTCOMES,
)
# `increase()` does not see the first event of a series that begins with it.
for _sink in SINKS:
    _events(_sink, "dropped")
_waiting = by(
    Gauge("poplar_events_waiting", "Events that wait for a sink", ["sink"], multiprocess_mode="livesum"), SINKS
)


def told(sink: str, outcome: str, count: int) -> None:
    """`count` events came to one of OUTCOMES at one of SINKS."""
    _events(sink, outcome).inc(count)


def waiting(sink: str, count: int) -> None:
    """`count` events wait for one of SINKS now."""
    _waiting(sink).set(count)
