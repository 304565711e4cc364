"""Who waits for a TLS handshake, and whose turn it is.

Owns fair turns at equal cost, by start-time fair queueing, as in `mail.turns`: a heap is all that takes. Every second
turn is a stranger's while any wait, by network; the others are the tenants', as far as an address tells whose its
client is, and among those of one tenant by network (G16). Were each stranger's network a class like a tenant, a flood
from many of them would leave tenants next to nothing, and were all strangers one, tenants that wait would leave them
as little. Who left before its turn has none, and pays for none.
"""

from collections import deque
from collections.abc import Callable, Hashable, Sequence
from contextvars import Context
from heapq import heappop, heappush
from itertools import count
from typing import TypeAlias

from service.mail.turns import Whose

Begin: TypeAlias = Callable[[], bool]
"""Computes, unless its client has left; whether it did."""
Due: TypeAlias = tuple[float, Begin, Context]
"""When it was asked for (seconds of the monotonic clock), what begins, and the context it was asked in."""
Path: TypeAlias = Sequence[Hashable]
DEBTS = 4096
"""Classes that nobody waits for, and that had a turn others still have before them; beyond, all are forgiven."""


class Rota:
    """Classes in each of which somebody waits, by when the next turn of each begins in virtual time."""

    def __init__(self) -> None:
        self._starts: dict[Hashable, float] = {}
        self._heap: list[tuple[float, int, Hashable]] = []
        """The starts, and some that hold no more."""
        self._order = count()
        self._now = 0.0
        """Virtual time: when the turn that was looked for last began."""
        self._paid: dict[Hashable, float] = {}
        """Of classes in which nobody waits, when a next turn would begin."""

    def join(self, whose: Hashable) -> None:
        """Somebody of this class waits; no effect where others do."""
        if whose not in self._starts:
            self._push(whose, max(self._now, self._paid.pop(whose, 0.0)))

    def first(self) -> Hashable:
        """Whose turn it is."""
        while True:
            start, _, whose = self._heap[0]
            if self._starts.get(whose) == start:
                self._now = start
                return whose
            heappop(self._heap)

    def leave(self, whose: Hashable) -> None:
        """Nobody of this class waits any more."""
        del self._starts[whose]

    def pay(self, whose: Hashable) -> None:
        """This class had a turn, which was the `first`."""
        if whose in self._starts:
            self._push(whose, self._starts[whose] + 1.0)
            return
        if len(self._paid) >= DEBTS:
            self._paid.clear()
        self._paid[whose] = self._now + 1.0

    def _push(self, whose: Hashable, start: float) -> None:
        self._starts[whose] = start
        heappush(self._heap, (start, next(self._order), whose))


class Line:
    """Those who wait, by paths of classes: those of the first names have turns among them, then within each."""

    def __init__(self) -> None:
        self._rota = Rota()
        self._within: dict[Hashable, Line] = {}
        self._due: deque[Due] = deque()
        """Who waits at the end of a path, in order."""

    @property
    def empty(self) -> bool:
        """Whether nobody waits."""
        return not self._within and not self._due

    def put(self, path: Path, due: Due) -> None:
        """Line up at the end of this path."""
        if not path:
            self._due.append(due)
            return
        within = self._within.get(path[0])
        if within is None:
            within = self._within[path[0]] = Line()
            self._rota.join(path[0])
        within.put(path[1:], due)

    def take(self) -> tuple[Due, Path]:
        """Whose turn it is, and the path that is to `pay` for it if it is needed."""
        if not self._within:
            return self._due.popleft(), ()
        name = self._rota.first()
        within = self._within[name]
        due, path = within.take()
        if within.empty:
            del self._within[name]
            self._rota.leave(name)
        return due, (name, *path)

    def pay(self, path: Path) -> None:
        """The one that was taken last had its turn."""
        if path:
            self._rota.pay(path[0])
            within = self._within.get(path[0])
            if within is not None:
                within.pay(path[1:])


class Waiting:
    """Those who wait for their handshake."""

    def __init__(self) -> None:
        self._line = Line()
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def put(self, tenant: Whose, network: str, due: Due) -> None:
        """Line up; the tenant is None for a stranger."""
        self._count += 1
        self._line.put((None, network) if tenant is None else ("known", tenant, network), due)

    def take(self) -> tuple[Due, Path]:
        """Whose turn it is, and the path that is to `pay` for it if it is needed."""
        self._count -= 1
        return self._line.take()

    def pay(self, path: Path) -> None:
        """The one that was taken last had its turn. When nobody waits any more all is forgotten."""
        if self._count:
            self._line.pay(path)
        else:
            self._line = Line()
