"""The event loop's time, which all sessions of a process share: so much work is done between two looks at the sockets.

Owns which step runs in which round. A loop runs whatever is ready in one go: without this, a step of each of a tenant's
thousand sessions runs before another's only one, at each step again. A step is what runs between two waits; it costs
the time it takes, which is known once it is over. No class of callers has more of a round than it leaves to others; who
waits goes on by start-time fair queueing, as at other turns (`turns.py`), and who has savings passes. Refuses to know
the work. Nothing waits while fewer steps are ready than may run in one round.
"""

import asyncio
import time
from collections.abc import Callable, Hashable
from contextvars import copy_context
from heapq import heappop, heappush
from itertools import count

from service.mail.rounds import SHORT, Class, Round, Waiter
from service.mail.told import Told, Untold

Whose = Hashable
"""A class of callers: a tenant's id, the network of a stranger, or None for those that are nobody's."""
ALONE = 8
"""How many times longer a round is while one tenant alone has anything to do, and for tenants with savings."""
COMPANY_SECONDS = 5.0
"""For how long two tenants that had steps after one another keep rounds short. Strangers, of whom nobody knows yet
whose they are, don't: each session begins as one where no tenant is known to come from its address."""
LOOKS = 4
"""How many times sockets are looked at, and what they brought goes on, between rounds for those who wait while several
tenants are about: who passes needs some looks for each answer of another system, and would wait a round for each."""
FEW_CLASSES = 64
UNBOUNDED = float("inf")


class Pace:
    """Rounds of `steps` short steps; for use in one event loop.

    A class that asks for less than its share may have `savings` seconds at once when it does ask, and passes those that
    wait as long as it has any left, in room of each round that is kept for that: for strangers, of whom a flood may
    make as many classes as it likes, as much as the round's own.
    """

    resource = "loop"

    def __init__(self, steps: int, told: Told | None = None, savings: float = 0.0) -> None:
        self.waiting = 0
        self._told = told or Untold()
        self._short, self._long = steps * SHORT, steps * SHORT * ALONE
        self._room = self._short
        """Seconds of the present round; none any more once it is for those who pass alone."""
        self.unasked = self._room / 2
        """While less than this is `spent` anybody may begin: nobody has half of the round, and nobody waits."""
        self._savings = savings
        self._behind = savings / 8 or UNBOUNDED
        """How far behind is more than one that always asks is now and then, too."""
        self.spent = 0.0
        """What of the present round's room was had, or of that of those who pass: no step counts less than SHORT."""
        self.took = Round(self._join)
        """Who had a step in this round, at whose end another begins, and the seconds of each that aren't summed yet."""
        self._classes: dict[Whose, Class] = {}
        self._few = FEW_CLASSES
        self._heads: list[tuple[float, int, Class]] = []
        """A heap of the classes that wait, by when the first of each begins in virtual time."""
        self._order = count()
        self._now = self._latest = 0.0
        """Virtual time: when the step that was granted last began, and whenever nobody waits, the end of all debts."""
        self._looks = 0
        """How often sockets were looked at since this round began, as far as somebody waits."""
        self._tenant: Class | None = None
        self._company_until = 0.0
        self._context = copy_context()
        self._loop: asyncio.AbstractEventLoop | None = None

    def may_begin(self, whose: Whose) -> bool:
        """Whether a step may run at once; if so, `ended` must follow.

        Whose it is matters only once half of the round is spent, or somebody waits: nearly every step of each session
        sees by `spent` and `unasked` that it needn't ask.
        """
        of = self._classes.get(whose) or self._class(whose)
        return (not self._heads and of.part() < self._room - self.spent) or self._may_pass(of)

    def ended(self, whose: Whose, seconds: float, counted: float = 0.0) -> None:
        """A step took so long, `counted` of which its round knows already.

        A long one uses up what others of its round could have had, so that sockets are looked at soon. Each step of
        each session ends so, most of them without a call of this: the rest is done once a round, by `_join` and `_pay`.
        """
        self.took[whose].append(seconds)
        seconds = max(seconds, SHORT)
        if counted:
            self._fill()
            seconds = self._classes[whose].reckoned(seconds, counted)
        self.spent += seconds

    def soon(self, whose: Whose, call: Callable[[], object]) -> None:
        """Call `call` in a step of its own: at once where there is room."""
        if self.spent < self.unasked or self.may_begin(whose):
            self.run(whose, call)
        else:
            self.line_up(whose, lambda: self.run(whose, call))

    def run(self, whose: Whose, call: Callable[[], object]) -> None:
        """Call `call` in a step that may begin."""
        began = time.perf_counter()
        try:
            call()
        finally:
            self.ended(whose, time.perf_counter() - began)

    def line_up(self, whose: Whose, call: Callable[[], object]) -> None:
        """Have `call` called, in the present context, when a step of this class may begin; `ended` must follow."""
        self._wait(whose, Waiter(time.monotonic(), None, call, copy_context()))

    async def begin(self, whose: Whose) -> float:
        """Wait until a step may run, which couldn't at once; what of it is counted. `ended` must follow."""
        turn: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        self._wait(whose, Waiter(time.monotonic(), turn, None, None))
        return await turn

    def waits(self) -> dict[Whose, int]:
        """How many of each class had to wait since this was last asked."""
        told = {whose: of.waits for whose, of in self._classes.items() if of.waits}
        for whose in told:
            self._classes[whose].waits = 0
        return told

    def _join(self, whose: Whose) -> list[float]:
        """The first step of a class in this round."""
        of = self._classes.get(whose) or self._class(whose)
        if not self.took:
            self._go_on_after_a_look()
        self.took[whose] = of.took
        if of is not self._tenant and of.stays:
            self._meet(of)
        return of.took

    def _go_on_after_a_look(self) -> None:
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
        self._loop.call_soon(self._next_round, context=self._context)

    def _may_pass(self, of: Class) -> bool:
        """Whether a class that finds no room has savings, and those who pass have some left for it."""
        if of.waiting or self._paid(of) >= self._now - self._behind:
            return False
        self._fill()
        return self._room > 0.0 or self.spent < (self._long if of.stays else self._short)

    def _fill(self) -> None:
        """Once nothing is left of the round's room, count those who pass."""
        if 0.0 < self._room <= self.spent:
            self._room = self.unasked = self.spent = 0.0

    def _paid(self, of: Class) -> float:
        """When all it had until now is paid for, in virtual time: where its next step begins."""
        return max(of.finish, self._now - self._savings) + of.owed + sum(of.took)

    def _pay(self) -> None:
        """A round is over, of which each class that had a step had its part."""
        for whose in self.took:
            of = self._classes[whose]
            start = self._now - self._savings
            if start < of.finish:
                start = of.finish
                self._now = max(self._now, start)
            of.finish = start + of.owed + sum(of.took)
            of.took.clear()
            self._latest = max(self._latest, of.finish)
            of.owed = of.spent = 0.0
        self.took.clear()
        self.spent = 0.0

    def _meet(self, of: Class) -> None:
        """A step of another tenant than the last one's: neither is to find the loop in the middle of a long round."""
        if self._tenant is not None:
            self._company_until = time.monotonic() + COMPANY_SECONDS
            if self._room > self._short:
                self._room = self._short
                self.unasked = min(self.unasked, self._room / 2)
        self._tenant = of

    def _wait(self, whose: Whose, waiter: Waiter) -> None:
        of = self._classes.get(whose) or self._class(whose)
        of.waits += 1
        of.waiting.append(waiter)
        self.waiting += 1
        if len(of.waiting) == 1:
            self._become_head(of)

    def _become_head(self, of: Class) -> None:
        self.unasked = 0.0
        heappush(self._heads, (self._paid(of), next(self._order), of))

    def _next_round(self) -> None:
        """The sockets were looked at, often enough: who waits goes on."""
        company = self._company_until > time.monotonic()
        if self._heads:
            self._looks += 1
            if self._looks < LOOKS and company:
                self._go_on_after_a_look()
                return
            self._looks = 0
        self._pay()
        self._room = self._short if company else self._long
        if self._heads:
            self._grant()
        else:
            self._now = self._latest
            self.unasked = self._room / 2

    def _grant(self) -> None:
        """Let those go on who wait, while there is room; whose class has its part already waits for the next round."""
        served: list[tuple[float, int, Class]] = []
        try:
            while self._heads and (left := self._room - self.spent) > 0.0:
                head = heappop(self._heads)
                if head[2].part() < left:
                    self._serve(*head)
                else:
                    served.append(head)
        finally:
            self._fill()
            for head in served:
                heappush(self._heads, head)
            if self._heads and not self.took:
                self._go_on_after_a_look()

    def _serve(self, start: float, _: int, of: Class) -> None:
        waiter = of.waiting.popleft()
        self.waiting -= 1
        self._now = max(self._now, start)
        if of.waiting:
            self._become_head(of)
        if waiter.turn is None and waiter.call is not None and waiter.context is not None:
            self._told.waited(self.resource, time.monotonic() - waiter.since)
            waiter.context.run(waiter.call)
        elif waiter.turn is not None and not waiter.turn.done():
            # It goes on after this, maybe in the next round: how long it takes would be known too late for its own.
            self._told.waited(self.resource, time.monotonic() - waiter.since)
            waiter.turn.set_result(of.usual)
            # Its round alone is told so soon: nobody owes what is reckoned.
            if of.whose not in self.took:
                self._join(of.whose)
            of.spent += of.usual
            self.spent += of.usual

    def _class(self, whose: Whose) -> Class:
        of = self._classes.get(whose)
        if of is None:
            if len(self._classes) >= self._few:
                self._forget()
            of = self._classes[whose] = Class(whose, self._now - self._savings, not isinstance(whose, str))
        return of

    def _forget(self) -> None:
        """Let go of classes that wait for nothing and have no debt: they are as good as new."""
        paid = self._now - self._savings
        calm = [whose for whose, of in self._classes.items() if not of.waiting and of.finish <= paid]
        idle = [whose for whose in calm if whose not in self.took]
        for whose in idle:
            del self._classes[whose]
        self._few = max(FEW_CLASSES, 2 * len(self._classes))
