"""How events leave a process: told without waiting, queued for each sink within bounds, handed on in batches.

Owns the order in each sink, the repetition while one is away, and that what is lost is counted and said: at once in the
metrics, and in the stream where the gap is. Refuses to let a login wait, or memory grow, because somebody doesn't
listen (G15).
"""

import asyncio
import os
import secrets
from collections import deque
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Protocol

from service.mail.ports import Clock
from service.model.event import Event, Kind
from service.model.refusal import Reason, Refusal
from service.model.unique_id import RANDOM_OCTETS, time_ordered_octets


class Events(Protocol):
    """Where the parts of a process tell what happened."""

    def wants(self, kind: Kind) -> bool:
        """Whether anybody keeps anything of such an event; else it needn't be told."""

    def tell(self, event: Event) -> None:
        """Send it on its way; returns at once and never raises."""


class Sink(Protocol):
    """One receiver of events."""

    async def take(self, batch: Sequence[Event]) -> None:
        """Hand on all of `batch`, in order; a repetition may hand on again what was handed on before.

        Raises Refusal: UNAVAILABLE to be asked again, INVALID when this batch will never be taken.
        """


class Unheard:
    """Implements `Events` where nobody listens."""

    def wants(self, kind: Kind) -> bool:
        """Nobody does."""
        return False

    def tell(self, event: Event) -> None:
        """Forget it."""


@dataclass(frozen=True, slots=True)
class PipeBounds:
    """How much one sink may cost; seconds and counts."""

    queue: int = 10_000
    """Events that wait; further ones are dropped."""
    batch: int = 100
    patience: float = 300.0
    """How long one batch is tried."""
    first_pause: float = 0.25
    longest_pause: float = 30.0
    gather: float = 0.0
    """How long the first event of a batch waits for others, which then cost less each."""


Told = Callable[[str, int], object]
"""Hears `delivered`, `repeated` or `dropped`, and of how many events."""


class Pipe:
    """The way to one sink."""

    def __init__(
        self, sink: Sink, bounds: PipeBounds, told: Told, kinds: Collection[Kind] = frozenset(Kind), ids: bool = True
    ) -> None:
        """`kinds` are what the sink keeps anything of, `ids` whether it keeps the events' ids."""
        self._sink = sink
        self._kinds = kinds
        self.ids = ids
        self._bounds = bounds
        self._told = told
        self._queue: deque[Event] = deque()
        self._filled = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._lost = 0
        """Events dropped after all that wait, which the stream has not said yet."""

    def __len__(self) -> int:
        """Events that wait."""
        return len(self._queue)

    def wants(self, kind: Kind) -> bool:
        """Whether the sink keeps anything of such an event."""
        return kind in self._kinds

    def put(self, event: Event) -> None:
        """Queue the event, or drop it where there is no room."""
        if len(self._queue) >= self._bounds.queue:
            self._lost += self._dropped([event])
            return
        if not self._queue:
            self._filled.set()
            self._idle.clear()
        if self._lost:
            self._queue.append(_gap(event, self._lost))
            self._lost = 0
        self._queue.append(event)

    async def run(self) -> None:
        """Hand on whatever comes, for ever. Cancelled in the middle of a batch, the next run hands it on again."""
        while True:
            await self._filled.wait()
            if self._bounds.gather:
                await asyncio.sleep(self._bounds.gather)
            batch = list(islice(self._queue, self._bounds.batch))
            taken = await self._tried(batch)
            for _ in batch:
                self._queue.popleft()
            if not taken:
                self._leave_gap(self._dropped(batch))
            if not self._queue:
                self._filled.clear()
                self._idle.set()

    async def settled(self, seconds: float) -> int:
        """Wait until nothing waits any more, at most `seconds`; how many events are left."""
        try:
            async with asyncio.timeout(seconds):
                await self._idle.wait()
        except TimeoutError:
            return len(self._queue)
        return 0

    async def _tried(self, batch: Sequence[Event]) -> bool:
        """Whether the batch was handed on within the patience."""
        clock = asyncio.get_running_loop().time
        end, pause = clock() + self._bounds.patience, self._bounds.first_pause
        while True:
            try:
                await self._sink.take(batch)
            except Refusal as refusal:
                if refusal.reason is Reason.INVALID or clock() + pause > end:
                    return False
                self._told("repeated", len(batch))
            else:
                self._told("delivered", len(batch))
                return True
            await asyncio.sleep(_jittered(pause))
            pause = min(2 * pause, self._bounds.longest_pause)

    def _dropped(self, events: Sequence[Event]) -> int:
        """How many are lost with these, which is told."""
        # What a gap tells of was counted when it was dropped itself.
        self._told("dropped", sum(event.kind is not Kind.DROPPED for event in events))
        return sum(int(event.counts.get("dropped", 1)) for event in events)

    def _leave_gap(self, lost: int) -> None:
        """Say that `lost` events are missing before the queue's first one, or before whatever comes next."""
        if not self._queue:
            self._lost += lost
        elif (following := self._queue[0]).kind is Kind.DROPPED:
            self._queue[0] = following._replace(counts={"dropped": int(following.counts["dropped"]) + lost})
        else:
            self._queue.appendleft(_gap(following, lost))


class EventStream:
    """Implements `Events`: stamps each and puts it into every pipe."""

    def __init__(self, pipes: Sequence[Pipe], clock: Clock, process: str) -> None:
        self._wanting = {kind: [pipe for pipe in pipes if pipe.wants(kind)] for kind in Kind}
        self._ids = any(pipe.ids for pipe in pipes)
        self._clock = clock
        self._process = process

    def wants(self, kind: Kind) -> bool:
        """Whether any of the sinks does."""
        return bool(self._wanting[kind])

    def tell(self, event: Event) -> None:
        """Send it on its way."""
        pipes = self._wanting[event.kind]
        if not pipes:
            return
        now = self._clock.now()
        event_id = time_ordered_octets(now, os.urandom(RANDOM_OCTETS)).hex() if self._ids else ""
        # Its kind comes first, and then what is stamped; `_replace` would take two calls more.
        stamped = Event._make((event.kind, now, event_id, self._process, *event[4:]))
        for pipe in pipes:
            pipe.put(stamped)


def _gap(following: Event, lost: int) -> Event:
    """Says how many events are missing before `following`; as constant as that one, for it may be repeated too."""
    identity = (following.moment, f"{following.event_id}-gap", following.process)
    return Event(Kind.DROPPED, *identity, counts={"dropped": lost})


def _jittered(pause: float) -> float:
    """Between half of `pause` and all of it, so that processes don't come back at the same moment."""
    return pause * (0.5 + secrets.randbelow(1000) / 2000)
