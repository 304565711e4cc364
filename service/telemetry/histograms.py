"""Histograms that are told much more often than they are read.

Owns what was observed and isn't counted yet: it is counted together, at a look, after so many, and where several
processes share their metrics once a second. One by one, with a lock for each of two numbers, the some twenty
observations of a poll were a twentieth of what it cost. Refuses to know any metric.
"""

from bisect import bisect_right
from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from typing import Any
from weakref import WeakSet

import prometheus_client

MOST = 256
"""Observations that wait to be counted."""
FLUSH_EVERY = 1.0
"""Seconds."""

_with_some: "WeakSet[Histogram]" = WeakSet()
"""All that can be observed."""


class Histogram(prometheus_client.Histogram):
    """Prometheus' own, but for when it counts. Safe from any thread."""

    def _metric_init(self) -> None:
        super()._metric_init()
        self._seen: deque[float] = deque()
        _with_some.add(self)

    def observe(self, amount: float, exemplar: dict[str, str] | None = None) -> None:
        """Count `amount`, a little later. There are no exemplars here."""
        seen = self._seen
        seen.append(amount)
        if len(seen) >= MOST:
            self.flush()

    def flush(self) -> None:
        """Count what was observed."""
        seen, taken = self._seen, list[float]()
        # Another thread may take some of them meanwhile.
        with suppress(IndexError):
            for _ in range(len(seen)):
                taken.append(seen.popleft())
        if not taken:
            return
        self._sum.inc(sum(taken))
        taken.sort()
        before = 0
        for bucket, bound in zip(self._buckets, self._upper_bounds, strict=True):
            counted = bisect_right(taken, bound)
            if counted > before:
                bucket.inc(counted - before)
            before = counted

    def _child_samples(self) -> Iterable[Any]:
        self.flush()
        return super()._child_samples()


async def flush() -> None:
    """Count what was observed, for those who read what this process shares with others."""
    for each in tuple(_with_some):
        each.flush()
