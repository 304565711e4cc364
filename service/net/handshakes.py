"""When TLS handshakes on a listener begin: one after another, each once its client has said something.

Owns when the next one begins. A handshake is a part of a millisecond of signing in one go: as many as are ready would
run between two looks at the sockets, and hold up every session for that long (G16). Refuses to know whose turn it is
(`handshake_queue.py`), and what a handshake is. RFC 8314 §3.1.
"""

import asyncio
import time
from collections.abc import Callable
from contextvars import copy_context

from service.mail.allowances import network_of
from service.mail.told import Told, Untold
from service.mail.turns import Whose
from service.net.handshake_queue import Begin, Waiting

RESOURCE = "handshakes"
PERIOD = 0.1
"""Seconds in which handshakes are counted."""
MANY = 20
"""Handshakes of a period that take much of a core: the next period stands back."""
LOOKS = 8
"""Looks at the sockets from one handshake to the next of a process that computes many: what Postgres or Redis answers
takes some hops of the event loop until it is a session's next step, and each hop would stand behind a handshake."""
LOOKING = 0.003
"""Seconds since a handshake of such a process after which no further look is waited for: where sessions are busy, too,
each look takes as long as a round of their steps, and who connects would get next to no handshakes."""
PASSED_OVER = 64
"""Turns that nobody needs any more, and that are passed over in one round of the loop: some 0.1 ms."""

StandBack = Callable[[bool], object]
"""Told whether whoever else wakes up on this core, Postgres for one, is to have it at once."""


def _stay(_back: bool) -> None:
    """A `StandBack` where nothing can be done about it."""


def strangers(_network: str) -> Whose:
    """Whose clients are where no address tells: nobody's."""
    return None


class Handshakes:
    """The turns of one process; `whose` tells the tenant that a network's clients are taken to be of."""

    resource = RESOURCE

    def __init__(
        self,
        told: Told | None = None,
        stand_back: StandBack = _stay,
        whose: Callable[[str], Whose] = strangers,
    ) -> None:
        self._told = told or Untold()
        self._stand_back = stand_back
        self._whose = whose
        self._back = False
        self._begun = 0
        """How many in this period; a period begins with the first."""
        self._looks = 0
        """Rounds of the loop until the next one has its turn."""
        self._until = 0.0
        """When no further round is waited for."""
        self._had = False
        """Whether one had its turn since the sockets were last looked at so often, or waits for the next one."""
        self._waiting = Waiting()

    @property
    def waiting(self) -> int:
        """Handshakes that wait for their turn, of clients that left among them."""
        return len(self._waiting)

    def begin(self, client: str, begin: Begin) -> None:
        """Have `begin` called when it is `client`'s turn, at once if none is due or has just been."""
        if not self._had:
            self._had = True
            self._count()
            try:
                begin()
            finally:
                self._go_on()
            return
        network = network_of(client)
        self._waiting.put(self._whose(network), network, (time.monotonic(), begin, copy_context()))

    def _go_on(self) -> None:
        self._looks = 1
        if self._back:
            self._looks, self._until = LOOKS, time.monotonic() + LOOKING
        # The next one begins once the sockets were looked at.
        asyncio.get_running_loop().call_soon(self._after_a_look)

    def _after_a_look(self) -> None:
        self._looks -= 1
        if self._looks > 0 and time.monotonic() < self._until:
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
        # Beside busy sessions fewer have their turn, however many there are.
        many = max(self._begun, len(self._waiting) if self._back else 0) >= MANY
        self._begun = 0
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
            return
        try:
            computed = self._begin_next()
        finally:
            # Whatever becomes of it, the next one begins.
            self._go_on()
        if not computed:
            self._looks = 1

    def _begin_next(self) -> bool:
        """Give the turn to the first who needs it, of so many; whether one did."""
        for _ in range(min(PASSED_OVER, len(self._waiting))):
            (since, begin, context), path = self._waiting.take()
            # In no other's context: the event loop calls this in that of whoever had the turn before.
            if context.run(self._begin, begin, since):
                self._waiting.pay(path)
                self._count()
                return True
        return False

    def _begin(self, begin: Begin, since: float) -> bool:
        """Give the turn to one that has waited since then; whether it needed it."""
        waited = time.monotonic() - since
        needed = begin()
        if needed:
            self._told.waited(RESOURCE, waited)
        return needed
