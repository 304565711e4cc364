"""Fair turns at a resource that many tenants share: who asks for more than the others waits longer, and they don't.

Owns the order and the bounds. Turns go by start-time fair queueing (Goyal, Vin and Cheng, 1996): each class of callers
has a queue of its own, and the one that was served least goes first, whatever the others queue. No class may hold or
queue more than a multiple of what is still free (the dynamic thresholds of Choudhury and Hahne, 1998), so that there is
room for one that comes late. An amount larger than the whole bound is granted when nothing else is held (G15).
Refuses to know what is shared, and what a class is. Nothing here takes longer the more wait, but for a logarithm.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Hashable
from contextlib import asynccontextmanager
from contextvars import copy_context
from dataclasses import dataclass
from heapq import heappop, heappush
from itertools import count

from service.mail.queues import Queue, Waiter
from service.mail.told import Told, Untold
from service.model.refusal import Reason, Refusal

Whose = Hashable
"""A class of callers that get one share together: a tenant's id, or None for those that are nobody's."""
UNBOUNDED = float("inf")
FEW_CLASSES = 64
SHORT = 0.001
"""What a turn costs that is paid for by time, at least: seconds."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much there is, and what one class may have of it."""

    amount: float
    """Slots, octets or whatever is shared."""
    queue: float = UNBOUNDED
    """Callers that may wait."""
    most: float = 1.0
    """The part that one class alone may come to hold, and to queue; n of them n times `m / (1 + n m)`, where `m` is
    `most / (1 - most)`. 1 for no such bound."""
    patience: float | None = None
    """Seconds after which a caller is refused rather than kept waiting."""
    savings: float = 0.0
    """Cost that a class which asks for less than its share may have saved up, to have it at once when it does ask."""
    reserve: float = 0.0
    """More of the amount, for classes with savings alone: they pass those that wait."""

    @property
    def multiple(self) -> float:
        """How many times of what is free a class may have."""
        return UNBOUNDED if self.most >= 1.0 else round(self.most / (1.0 - self.most), 6)

    @property
    def open(self) -> float:
        """While less is held in all, no class can have what it may: less than `multiple` times of what is free."""
        multiple = self.multiple
        return self.amount if multiple == UNBOUNDED else self.amount * multiple / (1.0 + multiple)


class Turns:
    """One shared resource of a process, under the name `resource`; for use in one event loop."""

    def __init__(self, resource: str, bounds: Bounds, told: Told | None = None) -> None:
        self.resource = resource
        self.bounds = bounds
        self.used = 0
        self.waiting = 0
        self._told = told or Untold()
        self._classes: dict[Whose, Queue] = {}
        self._heads: list[tuple[float, int, Waiter]] = []
        """A heap of the first in each queue, by when it begins in virtual time."""
        self._order = count()
        self._now = 0.0
        """Virtual time: when the turn that was granted last began, and whenever all is idle, the end of all debts."""
        self._latest = 0.0
        self._few = FEW_CLASSES
        self._amount = bounds.amount
        self._open = bounds.open
        self._multiple = bounds.multiple
        self._savings = bounds.savings
        self._behind = bounds.savings / 8 or UNBOUNDED
        """How far behind is more than one that always asks is now and then, too."""
        self._shared = bounds.multiple != UNBOUNDED
        self._queued = bounds.queue != UNBOUNDED
        """Whether one class may not have all."""
        self._in_order = bounds.queue > 0 or bounds.savings > 0
        """Whether anybody may come to wait or to pass: else it is all one what each had before."""

    def try_take(self, whose: Whose, amount: int = 1, *, cost: float = 1.0, leaving: int = 0) -> bool:
        """Take `amount` at once if it is free and nobody waits, and so much more stays free for those who would."""
        of = self._classes.get(whose) or self._class(whose)
        used = self.used + amount
        # Nearly every caller comes by here and goes on: so it calls nothing.
        if (self._heads or used + leaving >= self._open) and not self._may_take(of, amount, leaving):
            return False
        of.held += amount
        self.used = used
        if self._in_order:
            start = self._now - self._savings
            if start < of.finish:
                start = of.finish
                self._now = max(self._now, start)
            of.finish = start + cost
            self._latest = max(self._latest, of.finish)
        return True

    async def take(self, whose: Whose, amount: int = 1, *, cost: float = 1.0) -> None:
        """Take `amount` in turn; `cost` is what it counts for against its class's later turns.

        Raises Refusal(OVERLOADED): the queue is full, this class has its share of it, or patience ran out.
        """
        if not self.try_take(whose, amount, cost=cost):
            await self.wait(whose, amount, cost=cost)

    async def wait(self, whose: Whose, amount: int = 1, *, cost: float = 1.0) -> None:
        """The same for who has just tried. Raises as `take` does."""
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiter = Waiter(whose, amount, cost, turn, since=time.monotonic())
        self._line_up(waiter)
        if not waiter.over:
            await self._wait(waiter, turn)
        # Told here, where what is told belongs to the trace of who waited, and not of who gave the turn back.
        self._told.waited(self.resource, time.monotonic() - waiter.since)

    def call(self, whose: Whose, call: Callable[[], object], *, cost: float = 1.0) -> None:
        """Have `call` called, in the present context, once a turn was taken for it. Raises as `take` does."""
        self._line_up(Waiter(whose, 1, cost, None, time.monotonic(), call, copy_context()))

    def give_back(self, whose: Whose, amount: int = 1, *, cost: float = 0.0) -> None:
        """Return what was taken, which cost so much more than was said; those who wait get their turns."""
        of = self._classes.get(whose) or self._class(whose)
        of.held -= amount
        self.used -= amount
        if cost:
            of.finish += cost
            self._latest = max(self._latest, of.finish)
        if self._heads:
            self._grant()
        elif not self.used:
            self._now = self._latest

    def pass_on(self, whose: Whose, to: Whose) -> None:
        """One that was taken for a class is another's from now on."""
        self._class(whose).held -= 1
        self._class(to).held += 1

    @asynccontextmanager
    async def turn(self, whose: Whose, *, least: float = SHORT) -> AsyncIterator[None]:
        """One turn, from its beginning to the end of the block; it costs the seconds that it takes, and `least`.

        Raises as `take` does.
        """
        await self.take(whose, cost=least)
        began = time.monotonic()
        try:
            yield
        finally:
            self.give_back(whose, cost=max(0.0, time.monotonic() - began - least))

    def waits(self) -> dict[Whose, int]:
        """How many of each class had to wait or were turned away since this was last asked."""
        told = {whose: of.waits for whose, of in self._classes.items() if of.waits}
        for whose in told:
            self._classes[whose].waits = 0
        return told

    def _class(self, whose: Whose) -> Queue:
        of = self._classes.get(whose)
        if of is None:
            if len(self._classes) >= self._few:
                self._forget()
            of = self._classes[whose] = Queue(self._now - self._savings)
        return of

    def _forget(self) -> None:
        """Let go of classes that hold nothing, wait for nothing and have no debt: they are as good as new."""
        paid = self._now - self._savings
        idle = [w for w, of in self._classes.items() if not (of.held or of.waiting) and of.finish <= paid]
        for whose in idle:
            del self._classes[whose]
        self._few = max(FEW_CLASSES, 2 * len(self._classes))

    def _may_take(self, of: Queue, amount: int, leaving: int) -> bool:
        """Whether there is as much for a class where somebody waits, or there is little left."""
        used = self.used
        if not (
            self._heads
            or (used and used + amount + leaving > self._amount)
            or (of.held and self._shared and of.held >= (self._amount - used) * self._multiple)
        ):
            return True
        return of.finish < self._now - self._behind and self._passes(of, amount + leaving)

    def _passes(self, of: Queue, amount: int) -> bool:
        """Whether a class that has saved up what it asks for finds room for it before those that wait."""
        return not of.waiting and self.used + amount <= self._amount + self.bounds.reserve

    def _queue_is_full(self, of: Queue) -> bool:
        room = self.bounds.queue - self.waiting
        return room <= 0 or (self._shared and len(of.waiting) >= room * self._multiple)

    def _line_up(self, waiter: Waiter) -> None:
        """Put the caller into its class's queue. Raises Refusal(OVERLOADED)."""
        of = self._classes.get(waiter.whose) or self._class(waiter.whose)
        of.waits += 1
        if self._queued and self._queue_is_full(of):
            self._told.turned_away(self.resource)
            raise Refusal(Reason.OVERLOADED, f"{self.resource}: all is taken, or this tenant's share of it")
        of.waiting.append(waiter)
        self.waiting += 1
        if len(of.waiting) == 1:
            self._become_head(of)
            self._grant()

    def _become_head(self, of: Queue) -> None:
        """Put the first of this class's queue among the heads."""
        start = self._now - self._savings
        start = max(start, of.finish)
        heappush(self._heads, (start, next(self._order), of.waiting[0]))

    def _leave(self, of: Queue, waiter: Waiter) -> None:
        """Out of the queue, whether served or not; the next of its class becomes a head if this was one."""
        waiter.over = True
        self.waiting -= 1
        if of.waiting[0] is not waiter:
            of.waiting.remove(waiter)
            return
        of.waiting.popleft()
        if of.waiting:
            self._become_head(of)

    def _grant(self) -> None:
        """Give turns while there is room. Whoever is next is waited for, unless its class holds its share already."""
        passed = []
        while self._heads:
            start, _, head = self._heads[0]
            if head.gone:
                heappop(self._heads)
                continue
            of, free = self._classes[head.whose], self._amount - self.used
            if self._shared and of.held and of.held >= free * self._multiple:
                # It has its share; one that holds nothing always may.
                passed.append(heappop(self._heads))
                continue
            if head.amount > free and self.used:
                break
            heappop(self._heads)
            self._serve(of, head, start)
        for entry in passed:
            heappush(self._heads, entry)

    def _serve(self, of: Queue, head: Waiter, start: float) -> None:
        of.held += head.amount
        self.used += head.amount
        # What earlier turns cost may have come to be known since this one was lined up.
        of.finish = max(of.finish, start) + head.cost
        self._now = max(self._now, start)
        self._latest = max(self._latest, of.finish)
        self._leave(of, head)
        if head.turn is not None:
            head.turn.set_result(None)
        elif head.call is not None and head.context is not None:
            head.context.run(self._told.waited, self.resource, time.monotonic() - head.since)
            asyncio.get_running_loop().call_soon(head.call, context=head.context)

    async def _wait(self, waiter: Waiter, turn: asyncio.Future[None]) -> None:
        try:
            if self.bounds.patience is None:
                await turn
            else:
                async with asyncio.timeout(self.bounds.patience):
                    await turn
        except BaseException as error:
            self._withdraw(waiter)
            if isinstance(error, TimeoutError):
                self._told.turned_away(self.resource)
                raise Refusal(Reason.OVERLOADED, f"{self.resource}: no turn in {self.bounds.patience:g} s") from error
            raise

    def _withdraw(self, waiter: Waiter) -> None:
        """Leave the queue; a turn that was granted in the same moment is given back."""
        if waiter.over:
            self.give_back(waiter.whose, waiter.amount)
            return
        self._leave(self._classes[waiter.whose], waiter)
        self._grant()
