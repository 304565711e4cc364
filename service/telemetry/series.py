"""The series of a metric, found again without the metric's lock.

Owns that memory, which is as small as the closed sets of label values are (G17). Refuses to know any metric.
Counting is on the way of every command: looked up anew, labels cost more than the counting.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import TypeVar

from prometheus_client.metrics import MetricWrapperBase

from service.telemetry.labels import closed
from service.telemetry.later import Later

Key = TypeVar("Key")
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


class Tells(dict[Key, Callable[[float], None]]):
    """What a series is told its numbers by, kept by the key by which `found` finds it: no call finds it again.

    As with `by`, a series comes to be when it is looked for.
    """

    def __init__(self, found: Callable[[Key], Later]) -> None:
        super().__init__()
        self._found = found

    def __missing__(self, key: Key) -> Callable[[float], None]:
        tell = self._found(key).tell
        if len(self) < MOST:
            self[key] = tell
        return tell
