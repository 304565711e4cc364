"""Metrics that are told much more often than they are read.

Owns what was told and isn't counted yet: it is counted together, at a look, after so many, and where several processes
share their metrics once a second. One by one, with a lock and perhaps a question for the process's id for each number,
the some thirty of a poll were a twentieth of what it cost. Refuses to know any metric.
"""

from bisect import bisect_right
from collections.abc import Iterable
from threading import Lock
from typing import Any
from weakref import WeakSet

import prometheus_client
from prometheus_client.metrics import MetricWrapperBase

MOST = 256
"""Numbers that wait to be counted."""
FLUSH_EVERY = 1.0
"""Seconds."""

_all: "WeakSet[Later]" = WeakSet()
"""All that can be told."""
_joining = Lock()
"""Another thread may make a series while all are gone through, which a set doesn't bear."""


class Later(MetricWrapperBase):
    """What the three kinds share. Safe from any thread."""

    def _metric_init(self) -> None:
        super()._metric_init()  # type: ignore[no-untyped-call]
        self._told: list[float] = []
        self._counting = Lock()
        with _joining:
            _all.add(self)

    def tell(self, amount: float) -> None:
        """Count `amount`, a little later."""
        told = self._told
        told.append(amount)
        if len(told) >= MOST:
            self.flush()

    def flush(self) -> None:
        """Count what was told."""
        with self._counting:
            # Each of the two is one operation, between which others may only add to the end.
            taken = self._told[:]
            del self._told[: len(taken)]
            if taken:
                self._count(taken)

    def _count(self, taken: list[float]) -> None:
        raise NotImplementedError

    def _child_samples(self) -> Iterable[Any]:
        self.flush()
        return super()._child_samples()


class Counter(Later, prometheus_client.Counter):
    """Prometheus' own, but for when it counts. There are no exemplars."""

    def inc(self, amount: float = 1, exemplar: dict[str, str] | None = None) -> None:
        """Count so many more, a little later."""
        told = self._told
        told.append(amount)
        if len(told) >= MOST:
            self.flush()

    def _count(self, taken: list[float]) -> None:
        self._value.inc(sum(taken))


class Level(Later, prometheus_client.Gauge):
    """Prometheus' gauge for what goes up and down by steps, but for when it counts."""

    def inc(self, amount: float = 1) -> None:
        """There are so many more."""
        told = self._told
        told.append(amount)
        if len(told) >= MOST:
            self.flush()

    def dec(self, amount: float = 1) -> None:
        """There are so many less."""
        self.inc(-amount)

    def _count(self, taken: list[float]) -> None:
        self._value.inc(sum(taken))


class Histogram(Later, prometheus_client.Histogram):
    """Prometheus' own, but for when it counts. There are no exemplars."""

    def observe(self, amount: float, exemplar: dict[str, str] | None = None) -> None:
        """Count `amount`, a little later."""
        told = self._told
        told.append(amount)
        if len(told) >= MOST:
            self.flush()

    def _count(self, taken: list[float]) -> None:
        self._sum.inc(sum(taken))
        taken.sort()
        before = 0
        for bucket, bound in zip(self._buckets, self._upper_bounds, strict=True):
            counted = bisect_right(taken, bound)
            if counted > before:
                bucket.inc(counted - before)
            before = counted


async def flush() -> None:
    """Count what was told, for those who read what this process shares with others."""
    with _joining:
        every = tuple(_all)
    for each in every:
        each.flush()
