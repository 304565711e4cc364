"""One session's share of what its process shares: whose it is, and its place among those that are logged in.

Owns on whose behalf an effect asks other systems. Refuses to know how turns are shared out, and what is done in them.
RFC 1939 §4 (until a login succeeded, a session is that of the name it gave).
"""

import time
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

from service.mail.allowances import network_of
from service.mail.fairness import Fairness
from service.mail.maildrop import OpenMaildrop
from service.mail.steps import Steps
from service.mail.turns import Whose
from service.mail.whose import WHOSE
from service.protocol.pop3 import effects


class SessionTurns:
    """The turns of one session."""

    __slots__ = ("_fairness", "_goes_on", "_network", "_pace", "_placed", "whose")

    def __init__(self, fairness: Fairness, client: str) -> None:
        self._fairness = fairness
        self._pace = fairness.pace
        self._network = network_of(client)
        self.whose: Whose = fairness.newcomer(self._network)
        """The tenant's id; before a name is given that of the client's address, None for names that are nobody's."""
        self._placed = False
        self._goes_on = False
        """Whether a turn is this session's that hasn't ended: whatever is run next ends it, or goes on."""

    async def begin(self, effect: effects.Effect) -> None:
        """An effect begins: what it asks of other systems is asked on its tenant's behalf."""
        match effect:
            case effects.LogIn(proof=proof):
                self.whose = await self._fairness.whose(proof.name if proof else "")
            case effects.FetchKeys(name=name):
                self.whose = await self._fairness.whose(name)
        WHOSE.set(self.whose)

    def stand_for(self) -> None:
        """From now on, what the present context asks of other systems is asked on this session's tenant's behalf."""
        WHOSE.set(self.whose)

    async def run(self, work: Coroutine[Any, Any, None], *, last: bool = False) -> None:
        """Do `work`, step by step in this tenant's turns of the event loop.

        It begins in the turn of the command that wanted it, and what it brought is answered in that of its last step,
        unless it is the `last` that the session does.
        """
        if self._pace is None:
            await work
        else:
            steps = Steps(self._pace, work, self, begun=self._goes_on)
            self._goes_on = False
            await steps
            self._goes_on = steps.had_turn and not last

    def soon(self, call: Callable[[], object], *, granted: bool = False) -> bool:
        """Run commands that wait for nothing: in this tenant's turn of the event loop, at once where there is room.

        Tells whether `call` was called. Where it gives anything true, what is run next is of the same turn. One that
        was waited for is `granted`.
        """
        pace = self._pace
        if pace is None:
            call()
            return True
        went_on, self._goes_on = self._goes_on, False
        if not (went_on or granted or pace.spent < pace.unasked or pace.may_begin(self.whose)):
            pace.line_up(self.whose, partial(self.soon, call, granted=True))
            return False
        began = time.perf_counter()
        try:
            begins = call()
        finally:
            pace.ended(self.whose, time.perf_counter() - began)
        if begins:
            # One effect is all that a turn carries while others wait for theirs (G16).
            self._goes_on = not (went_on and pace.waiting)
        return True

    async def enter(self, held: OpenMaildrop) -> None:
        """Take a place among the sessions that are logged in.

        Raises Refusal(OVERLOADED) where the tenant has its share of a process that is nearly full.
        """
        # Who is refused a place gave its name all the same, and comes again.
        self.whose = self._fairness.logged_in(self._network, held.key.tenant_id, held.address)
        places = self._fairness.sessions
        if not places.try_take(self.whose):
            await places.wait(self.whose)
        self._placed = True

    def leave(self) -> None:
        """Give the place back; no effect the second time."""
        if self._placed:
            self._placed = False
            self._fairness.sessions.give_back(self.whose)
