"""Metrics that are told much more often than they are read.

Owns what was told and isn't counted yet: it is counted together, at a look, after so many, and where several processes
share their metrics once a second. One by one, with a lock and perhaps a question for the process's id for each number,
the some thirty of a poll were a twentieth of what it cost. Refuses to know any metric.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable
from threading import Lock
from typing import Any

import prometheus_client
from prometheus_client.metrics import MetricWrapperBase

MOST = 256
"""Numbers that wait to be counted; of what is told, those of a second at most besides."""
FLUSH_EVERY = 1.0
"""Seconds after which a process that has sessions looks what was told."""

_all: "list[Later]" = []
"""All that can be told. None of them ever goes."""


class Later(MetricWrapperBase):
    """What the three kinds share. Safe from any thread."""

    tell: Callable[[float], None]
    """Count so much at the next flush. The list's own `append`, for what sessions do: a poll tells some fifteen."""

    def _metric_init(self) -> None:
        super()._metric_init()  # type: ignore[no-untyped-call]
        self._told: list[float] = []
        self.tell = self._told.append
        self._counting = Lock()
        _all.append(self)

    def flush(self, least: int = 1) -> None:
        """Count what was told, if it is so many numbers."""
        if len(self._told) < least:
            return
        with self._counting:
            # Each of the two is one operation, between which others may only add to the end.
            taken = self._told[:]
            del self._told[: len(taken)]
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
        self.tell(amount)
        if len(self._told) >= MOST:
            self.flush()

    def _count(self, taken: list[float]) -> None:
        self._value.inc(sum(taken))


class Level(Later, prometheus_client.Gauge):
    """Prometheus' gauge for what goes up and down by steps, which it is told."""

    def _count(self, taken: list[float]) -> None:
        self._value.inc(sum(taken))


class Histogram(Later, prometheus_client.Histogram):
    """Prometheus' own, but for when it counts. There are no exemplars."""

    def observe(self, amount: float, exemplar: dict[str, str] | None = None) -> None:
        """Count `amount`, a little later."""
        self.tell(amount)
        if len(self._told) >= MOST:
            self.flush()

    def _count(self, taken: list[float]) -> None:
        self._sum.inc(sum(taken))
        taken.sort()
        start = 0
        while start < len(taken):
            # The first bound that the least of the rest doesn't exceed, and all that come to it.
            bucket = bisect_left(self._upper_bounds, taken[start])
            end = bisect_right(taken, self._upper_bounds[bucket])
            self._buckets[bucket].inc(end - start)
            start = end


async def flush() -> None:
    """Count what was told, for those who read what this process shares with others."""
    for each in tuple(_all):
        each.flush()


async def flush_many() -> None:
    """Count where so much was told that it shouldn't wait for a look."""
    for each in tuple(_all):
        each.flush(MOST)
