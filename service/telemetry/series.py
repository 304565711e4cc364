"""The series of a metric, found again without the metric's lock.

Owns that memory, which is as small as the closed sets of label values are (G17). Refuses to know any metric.
Counting is on the way of every command: looked up anew, labels cost more than the counting.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import TypeVar

from prometheus_client.metrics import MetricWrapperBase

from service.telemetry.labels import closed

Metric = TypeVar("Metric", bound=MetricWrapperBase)
ANY = None
"""Stands for a set of values that is closed elsewhere, as that of listeners' names is by the settings."""
MOST = 1024
"""Combinations of values that are remembered of a metric, those that come to `other` among them."""


def by(metric: Metric, *allowed: frozenset[str] | None) -> Callable[..., Metric]:
    """What finds a series of `metric` by a value for each of its labels; one that isn't `allowed` there is `other`."""

    @lru_cache(MOST)
    def found(*values: str) -> Metric:
        known = (value if among is None else closed(value, among) for value, among in zip(values, allowed, strict=True))
        return metric.labels(*known)

    return found
