"""Who waits for a TLS handshake, and whose turn it is.

Owns fair turns at equal cost, by start-time fair queueing, as in `mail.turns`: a heap is all that takes. They are
shared out to tenants, as far as an address tells whose its client is, and to all strangers together; among those of
one tenant, or the strangers, by network (G16). Were each stranger's network a class like a tenant, a flood from many
of them would leave tenants next to nothing.
"""

from collections.abc import Callable, Hashable
from contextvars import Context
from heapq import heappop, heappush
from itertools import count
from typing import Generic, TypeAlias, TypeVar

from service.mail.turns import Whose

Item = TypeVar("Item")
Begin: TypeAlias = Callable[[], bool]
"""Computes, unless its client has left; whether it did."""
Due: TypeAlias = tuple[float, Begin, Context]
"""When it was asked for (seconds of the monotonic clock), what begins, and the context it was asked in."""


class Queue(Generic[Item]):
    """Who waits, in fair turns between classes, each turn at the same cost."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Item]] = []
        """By when each begins in virtual time, and by order."""
        self._order = count()
        self._now = 0.0
        """Virtual time: when the turn that was given last began."""
        self._paid: dict[Hashable, float] = {}
        """When all that a class asked for is over, in virtual time; forgotten when nobody waits."""

    def __len__(self) -> int:
        return len(self._heap)

    def put(self, whose: Hashable, item: Item) -> None:
        """Line up on behalf of a class."""
        start = max(self._now, self._paid.get(whose, 0.0))
        self._paid[whose] = start + 1.0
        heappush(self._heap, (start, next(self._order), item))

    def take(self) -> Item:
        """Whose turn it is."""
        self._now, _, item = heappop(self._heap)
        if not self._heap:
            self._paid.clear()
        return item


class Waiting:
    """Those who wait for their handshake: by tenant, and in a tenant, or among all strangers, by network."""

    def __init__(self) -> None:
        self._tenants = Queue[Whose]()
        """An entry for each that waits: whose turn it is. Which of the tenant's that is, its own queue tells."""
        self._of: dict[Whose, Queue[Due]] = {}

    def __len__(self) -> int:
        return len(self._tenants)

    def put(self, tenant: Whose, network: str, due: Due) -> None:
        """Line up; the tenant is None for a stranger."""
        self._tenants.put(tenant, tenant)
        self._of.setdefault(tenant, Queue()).put(network, due)

    def take(self) -> Due:
        """Whose turn it is."""
        tenant = self._tenants.take()
        own = self._of[tenant]
        due = own.take()
        if not own:
            del self._of[tenant]
        return due
