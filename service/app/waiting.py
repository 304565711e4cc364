"""How many callers wait now for what a process shares, told to the metrics by resource.

Owns that all who wait for one resource are added up: those of both protocols wait for the same event loop. Refuses to
know who waits (G17).
"""

from collections import Counter
from typing import Protocol

from service.telemetry import sharing


class Queue(Protocol):
    """What is waited for, and by how many."""

    @property
    def resource(self) -> str:
        """One of `labels.SHARED`."""

    @property
    def waiting(self) -> int:
        """Callers that wait now."""


class Waiting:
    """All that callers of one process wait for."""

    def __init__(self) -> None:
        self._queues: list[Queue] = []

    def watch(self, *queues: Queue) -> None:
        """Tell of these, too, from now on."""
        self._queues += queues

    async def measure(self) -> None:
        """Tell the metrics how many wait now."""
        callers: Counter[str] = Counter()
        for each in self._queues:
            callers[each.resource] += each.waiting
        for resource, count in callers.items():
            sharing.waiting(resource, count)
