"""The metric of what became of spans.

Owns one counter and its outcomes, a closed set (G17). Refuses to know who takes spans.
"""

from service.telemetry.labels import closed
from service.telemetry.later import Counter

OUTCOMES = frozenset({"exported", "overflow", "failed", "unflushed"})
"""Taken by the collector; or lost because too many waited, it failed, or the process ended before it took them."""

_spans = Counter("poplar_spans", "Spans of traces, by what became of them", ["outcome"])
# `increase()` does not see the first event of a series that begins with it.
for _outcome in OUTCOMES:
    _spans.labels(_outcome)


def told(outcome: str, count: int) -> None:
    """So many spans came to one of OUTCOMES."""
    _spans.labels(closed(outcome, OUTCOMES)).inc(count)
