"""When TLS handshakes on a listener begin: one after another, each once its client has said something.

Owns their turns, by the client's network. A handshake is a part of a millisecond of signing in one go: as many as are
ready would run between two looks at the sockets, and hold up every session for that long (G16). Turns go by start-time
fair queueing, as in `mail.turns`; each costs the same here, so that a heap is all it takes. Refuses to know what a
handshake is. RFC 8314 §3.1.
"""

import asyncio
import time
from collections.abc import Callable
from contextvars import Context, copy_context
from heapq import heappop, heappush
from itertools import count

from service.mail.allowances import network_of
from service.mail.told import Told, Untold

RESOURCE = "handshakes"
PERIOD = 0.1
"""Seconds in which handshakes are counted."""
MANY = 20
"""Handshakes of a period that take much of a core: the next period stands back."""
LOOKS = 8
"""Looks at the sockets from one handshake to the next of a process that computes many: what Postgres or Redis answers
takes some hops of the event loop until it is a session's next step, and each hop would stand behind a handshake."""
PASSED_OVER = 64
"""Turns that nobody needs any more, and that are passed over in one round of the loop: some 0.1 ms."""

Begin = Callable[[], bool]
"""Computes, unless its client has left; whether it did."""
StandBack = Callable[[bool], object]
"""Told whether whoever else wakes up on this core, Postgres for one, is to have it at once."""


def _stay(_back: bool) -> None:
    """A `StandBack` where nothing can be done about it."""


class Handshakes:
    """The turns of one process."""

    def __init__(self, told: Told | None = None, stand_back: StandBack = _stay) -> None:
        self._told = told or Untold()
        self._stand_back = stand_back
        self._back = False
        self._begun = 0
        """How many in this period; a period begins with the first."""
        self._looks = 0
        """Rounds of the loop until the next one has its turn."""
        self._had = False
        """Whether one had its turn since the sockets were last looked at so often, or waits for the next one."""
        self._waiting: list[tuple[float, int, float, Begin, Context]] = []
        """A heap, by when each begins in virtual time, and by order; with when it came, and the context it came in."""
        self._order = count()
        self._now = 0.0
        """Virtual time: when the turn that was given last began."""
        self._paid: dict[str, float] = {}
        """When all that a network asked for is over, in virtual time; forgotten when nobody waits."""

    def begin(self, client: str, begin: Begin) -> None:
        """Have `begin` called when it is `client`'s turn, at once if none is due or has just been."""
        if not self._had:
            self._go_on()
            self._count()
            begin()
            return
        network = network_of(client)
        start = max(self._now, self._paid.get(network, 0.0))
        self._paid[network] = start + 1.0
        heappush(self._waiting, (start, next(self._order), time.monotonic(), begin, copy_context()))

    def _go_on(self) -> None:
        self._had = True
        self._looks = LOOKS if self._back else 1
        # The next one begins once the sockets were looked at, whatever becomes of this one.
        asyncio.get_running_loop().call_soon(self._after_a_look)

    def _after_a_look(self) -> None:
        self._looks -= 1
        if self._looks > 0:
            asyncio.get_running_loop().call_soon(self._after_a_look)
        else:
            self._next()

    def _count(self) -> None:
        if not self._begun:
            asyncio.get_running_loop().call_later(PERIOD, self._look)
        self._begun += 1

    def _look(self) -> None:
        """A period is over.

        A process that computes handshakes one after another hardly sleeps, and what its sessions wait for on the same
        core would wait for the end of its slice each time, some 3 ms: at each statement, each lease.
        """
        many, self._begun = self._begun >= MANY, 0
        if many is not self._back:
            self._back = many
            self._stand_back(many)
        if many:
            # The next look comes even if no handshake does.
            self._begun = 1
            asyncio.get_running_loop().call_later(PERIOD, self._look)

    def _next(self) -> None:
        if not self._waiting:
            self._had = False
            self._paid.clear()
            return
        self._go_on()
        for _ in range(min(PASSED_OVER, len(self._waiting))):
            self._now, _, since, begin, context = heappop(self._waiting)
            # In no other's context: the event loop calls this in that of whoever had the turn before.
            if context.run(self._begin, begin, since):
                self._count()
                return
        # Nothing was computed: one look is enough.
        self._looks = 1

    def _begin(self, begin: Begin, since: float) -> bool:
        """Give the turn to one that has waited since then; whether it needed it."""
        waited = time.monotonic() - since
        needed = begin()
        if needed:
            self._told.waited(RESOURCE, waited)
        return needed
