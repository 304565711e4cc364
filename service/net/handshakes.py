"""When TLS handshakes on a listener begin: one after another, each once its client has said something.

Owns their turns, by the client's network. A handshake is a part of a millisecond of signing in one go: as many as are
ready would run between two looks at the sockets, and hold up every session for that long (G16). Turns go by start-time
fair queueing, as in `mail.turns`; each costs the same here, so that a heap is all it takes. Refuses to know what a
handshake is. RFC 8314 §3.1.
"""

import asyncio
import time
from collections.abc import Callable
from heapq import heappop, heappush
from itertools import count

from service.mail.allowances import network_of
from service.mail.told import Told, Untold

RESOURCE = "handshakes"


class Handshakes:
    """The turns of one process."""

    def __init__(self, told: Told | None = None) -> None:
        self._told = told or Untold()
        self._had = False
        """Whether one had its turn in this round of the loop, or waits for the next one."""
        self._waiting: list[tuple[float, int, float, Callable[[], None]]] = []
        """A heap, by when each begins in virtual time, and by order; with when it came."""
        self._order = count()
        self._now = 0.0
        """Virtual time: when the turn that was given last began."""
        self._paid: dict[str, float] = {}
        """When all that a network asked for is over, in virtual time; forgotten when nobody waits."""

    def begin(self, client: str, begin: Callable[[], None]) -> None:
        """Have `begin` called when it is `client`'s turn, at once if nobody else had one in this round of the loop."""
        if not self._had:
            self._begin(begin)
            return
        network = network_of(client)
        start = max(self._now, self._paid.get(network, 0.0))
        self._paid[network] = start + 1.0
        heappush(self._waiting, (start, next(self._order), time.monotonic(), begin))

    def _begin(self, begin: Callable[[], None]) -> None:
        self._had = True
        # The next one begins once the sockets were looked at.
        asyncio.get_running_loop().call_soon(self._next)
        begin()

    def _next(self) -> None:
        if not self._waiting:
            self._had = False
            self._paid.clear()
            return
        self._now, _, since, begin = heappop(self._waiting)
        self._told.waited(RESOURCE, time.monotonic() - since)
        self._begin(begin)
