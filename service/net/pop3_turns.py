"""One session's share of what its process shares: whose it is, and its place among those that are logged in.

Owns on whose behalf an effect asks other systems. Refuses to know how turns are shared out, and what is done in them.
RFC 1939 §4 (until a login succeeded, a session is that of the name it gave).
"""

import time
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from typing import Any

from service.mail.allowances import network_of
from service.mail.fairness import Fairness
from service.mail.maildrop import OpenMaildrop
from service.mail.rounds import SHORT
from service.mail.steps import in_turns
from service.mail.turns import Whose
from service.mail.whose import UNKNOWN, WHOSE


class SessionTurns:
    """The turns of one session."""

    __slots__ = ("_fairness", "_network", "_pace", "_placed", "goes_on", "whose")

    def __init__(self, fairness: Fairness, client: str) -> None:
        self._fairness = fairness
        self._pace = fairness.pace
        self._network = network_of(client)
        self.whose: Whose = fairness.newcomer(self._network)
        """The tenant's id; before a name is given that of the client's address, None for names that are nobody's."""
        self._placed = False
        self.goes_on = False
        """Whether a turn is this session's that hasn't ended: whatever is run next ends it, or goes on."""

    def stand_for(self) -> None:
        """From now on, what the present context asks of other systems is asked on this session's tenant's behalf."""
        WHOSE.set(self.whose)

    def stood_for(self, name: str) -> bool:
        """From now on, it is asked on behalf of whoever `name` belongs to, if that is known; whether it is."""
        whose = self._fairness.known(name)
        if whose is UNKNOWN:
            return False
        self.whose = whose
        WHOSE.set(whose)
        return True

    async def find(self, name: str) -> None:
        """The same for a name of which it has to be found out."""
        self.whose = await self._fairness.whose(name)
        WHOSE.set(self.whose)

    def steps(self, work: Coroutine[Any, Any, None]) -> Awaitable[None]:
        """`work`, to be awaited by a task of its own, step by step in this tenant's turns of the event loop.

        It begins in the turn of the command that wanted it, and what it brought is answered in that of its last step.
        """
        return work if self._pace is None else in_turns(self._pace, work, self)

    async def run(self, work: Coroutine[Any, Any, None]) -> None:
        """Do `work` so."""
        await self.steps(work)

    def soon(self, call: Callable[[], object], granted: bool = False) -> bool:
        """Run commands that wait for nothing: in this tenant's turn of the event loop, at once where there is room.

        Tells whether `call` was called. Where it gives anything true, what is run next is of the same turn. One that
        was waited for is `granted`.
        """
        pace = self._pace
        if pace is None:
            call()
            return True
        if not (pace.spent < pace.unasked or self.goes_on or granted or pace.may_begin(self.whose)):
            pace.line_up(self.whose, partial(self.soon, call, granted=True))
            return False
        begins: object = False
        began = time.perf_counter()
        try:
            begins = call()
        finally:
            # As `Pace.ended` does.
            seconds = time.perf_counter() - began
            pace.took[self.whose].append(seconds)
            if seconds > SHORT:
                pace.spent += seconds
            else:
                pace.spent += SHORT
            # One effect is all that a turn carries while others wait for theirs (G16).
            self.goes_on = not (self.goes_on and pace.waiting) if begins else False
        return True

    def enter(self, held: OpenMaildrop) -> bool:
        """Take a place among the sessions that are logged in; whether there is one.

        There is none where the tenant has its share of a process that is nearly full.
        """
        # Who is refused a place gave its name all the same, and comes again.
        self.whose = self._fairness.logged_in(self._network, held.key.tenant_id, held.address)
        self._placed = self._fairness.sessions.try_take(self.whose)
        return self._placed

    async def wait_to_enter(self) -> None:
        """The same for who found none, if any may wait for one. Raises Refusal(OVERLOADED)."""
        await self._fairness.sessions.wait(self.whose)
        self._placed = True

    def leave(self) -> None:
        """Give the place back; no effect the second time."""
        if self._placed:
            self._placed = False
            self._fairness.sessions.give_back(self.whose)
