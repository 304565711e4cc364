"""Commands of many sessions in one pipeline per turn of the event loop.

Owns the queue, its bound and the deadline: a command is answered or refused within it, waiting included.
A pipeline that misses its deadline costs its connection, so that no reply is ever read by the wrong caller. One that
finds a connection at hand and plain answers needs no task. Nothing is repeated, except what the server says it did
nothing of.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from operator import itemgetter
from typing import Any

from redis.exceptions import ConnectionError as BrokenError

from service.stores.redis.breaker import Breaker
from service.stores.redis.errors import UNDONE, CallFailed, unreachable
from service.stores.redis.flight import DUE, Flight, Wanted, fail, tell
from service.stores.redis.line import Lines
from service.stores.redis.scripts import Command, whole

Pipeline = Callable[[Sequence[Command]], Awaitable[list[object]]]
"""Sends the commands to one server and returns an answer or an exception for each."""


@dataclass(frozen=True, slots=True)
class Limits:
    """`deadline` and `pause` (of the breaker) in seconds; the rest counts."""

    deadline: float = 1.0
    pause: float = 0.5
    connections: int = 4
    """Pipelines in flight at once, to each server."""
    batch: int = 64
    """Commands in one pipeline: the answers to more would keep the event loop for long."""
    queue: int = 20_000
    """Commands waiting for a pipeline."""


_COMMANDS = itemgetter(0)


class Batcher:
    """Commands to one server; `lines` are the connections that `pipeline` uses, where it need not be asked."""

    def __init__(
        self, pipeline: Pipeline, probe: Callable[[], Awaitable[object]], limits: Limits, lines: Lines | None = None
    ) -> None:
        self._pipeline = pipeline
        self._connections = limits.connections
        self._most = limits.batch
        self._deadline = limits.deadline
        self._room = limits.queue
        self._lines = lines
        self._breaker = Breaker(probe, limits.pause)
        self._queue: deque[Wanted] = deque()
        self._busy: set[asyncio.Task[None]] = set()
        self._flights: set[Flight] = set()
        self._alarm: asyncio.TimerHandle | None = None
        """One for all flights: whoever came first is due first."""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._scheduled = False
        self._closed = False

    def submit(self, command: Command) -> "asyncio.Future[object]":
        """The server's answer to come, in the pipeline of this turn; it may end with CallFailed.

        Raises CallFailed when the command isn't even taken.
        """
        return self._taken((command,), several=False)

    def together(self, commands: Sequence[Command]) -> "asyncio.Future[list[object]]":
        """The answers to several, or the CallFailed of the first that has none. Raises as `submit` does."""
        return self._taken(commands, several=True)

    async def landed(self) -> None:
        """Returns when every pipeline that is under way now is over, and what it left undone was repeated."""
        for _ in range(2):
            under_way = {*self._busy, *(flight.over() for flight in self._flights)}
            if under_way:
                await asyncio.wait(under_way)

    async def finish(self) -> None:
        """Wait for the answers to what was taken, and stop; nothing more may be submitted.

        Where this is cancelled it stops all the same: what still waits is refused.
        """
        try:
            while self._scheduled or self._busy or self._flights:
                await asyncio.sleep(0)
                await self.landed()
        finally:
            await self.aclose()

    async def aclose(self) -> None:
        """Refuse what waits and stop."""
        self._closed = True
        if self._alarm is not None:
            self._alarm.cancel()
        await self._breaker.aclose()
        for task in self._busy:
            task.cancel()
        for flight in list(self._flights):
            flight.line.end()
        await asyncio.gather(*self._busy, return_exceptions=True)
        fail(self._queue, ConnectionResetError())

    def _taken(self, commands: Sequence[Command], *, several: bool) -> "asyncio.Future[Any]":
        if self._breaker.open:
            raise CallFailed("breaker")
        if len(self._queue) >= self._room:
            raise CallFailed("overload")
        loop = self._loop or self._running()
        answer: asyncio.Future[Any] = loop.create_future()
        self._queue.append((commands, answer, loop.time() + self._deadline, several))
        if not self._scheduled and len(self._busy) + len(self._flights) < self._connections:
            self._scheduled = True
            loop.call_soon(self._start)
        return answer

    def _running(self) -> asyncio.AbstractEventLoop:
        """The event loop, kept from now on: each time that asyncio is asked for it, it calls the kernel."""
        self._loop = asyncio.get_running_loop()
        return self._loop

    def _start(self) -> None:
        """Send what waits: at once, or by a task where no connection is at hand."""
        self._scheduled = False
        if self._closed:
            # A flight that began now nobody would end: whoever came last is refused as well.
            fail(self._queue, ConnectionResetError())
            self._queue.clear()
            return
        batch, commands = self._take()
        if not batch:
            return
        lines = self._lines
        if lines is None or (line := lines.take()) is None:
            self._by_task(batch)
        else:
            flight = Flight(self, batch, lines, line)
            self._flights.add(flight)
            if self._alarm is None:
                self._watch(flight.due)
            flight.begin(commands)

    def _watch(self, due: float) -> None:
        self._alarm = (self._loop or self._running()).call_at(due, self._end_late, due)

    def _end_late(self, due: float) -> None:
        """End the flights that should have had their answers until now, which is at `due` at least."""
        self._alarm = None
        now = max(due, asyncio.get_running_loop().time())
        for flight in [each for each in self._flights if each.due <= now]:
            flight.line.end(TimeoutError())
        if self._flights and self._alarm is None:
            self._watch(min(flight.due for flight in self._flights))

    def _go_on(self) -> None:
        """A pipeline is over: send what has waited for that."""
        if self._queue and not self._scheduled and not self._closed:
            self._start()

    def _take(self) -> tuple[list[Wanted], list[Command]]:
        """Those that are next and still wait, as many as fit into a pipeline, and the commands of all."""
        queue, most = self._queue, self._most
        if len(queue) < most:
            # Nearly always there is room for all.
            batch = [waiting for waiting in queue if not waiting[1].done()]
            commands = list(chain.from_iterable(map(_COMMANDS, batch)))
            if len(commands) < most:
                queue.clear()
                return batch, commands
        batch, commands = [], []
        while queue and len(commands) < most:
            waiting = queue.popleft()
            if not waiting[1].done():
                batch.append(waiting)
                commands += waiting[0]
        return batch, commands

    def answered(self, flight: "Flight", answers: list[object], sound: bool) -> None:
        """A flight has its answers, of which none is an exception if they are `sound`."""
        self._flights.discard(flight)
        if sound:
            flight.lines.give_back(flight.line)
            tell(flight.batch, answers)
            self._go_on()
            return
        try:
            flight.lines.look_through(answers)
        except BrokenError as error:
            self.failed(flight, error)
        else:
            flight.lines.give_back(flight.line)
            self._by_task(flight.batch, answers)

    def failed(self, flight: "Flight", error: Exception) -> None:
        """A flight won't have its answers."""
        self._flights.discard(flight)
        flight.lines.lost(flight.line)
        if not self._closed:
            self._trip(error)
        fail(flight.batch, error)
        self._go_on()

    def _by_task(self, batch: list[Wanted], answers: list[object] | None = None) -> None:
        task = asyncio.get_running_loop().create_task(self._send(batch, answers))
        self._busy.add(task)
        task.add_done_callback(partial(self._sent, batch))

    def _sent(self, batch: list[Wanted], task: "asyncio.Task[None]") -> None:
        self._busy.discard(task)
        # Of a task that was cancelled before its first step nobody has heard yet.
        fail(batch, ConnectionResetError())
        self._go_on()

    async def _send(self, batch: list[Wanted], answers: list[object] | None) -> None:
        """Get the answers that are missing."""
        asked = [(command, answer) for commands, answer, _, _ in batch for command in commands]
        try:
            async with asyncio.timeout_at(batch[0][DUE]):
                answers = answers or await self._pipeline([command for command, _ in asked])
                await self._repeat(asked, answers)
        except asyncio.CancelledError:
            fail(batch, ConnectionResetError())
            raise
        except Exception as error:
            self._trip(error)
            fail(batch, error)
        else:
            self._settle(batch, answers)

    async def _repeat(self, asked: "Sequence[tuple[Command, asyncio.Future[Any]]]", answers: list[object]) -> None:
        """Ask once more for what the server did nothing of (it knows no such script or key), if somebody waits."""
        undone = [at for at, answer in enumerate(answers) if isinstance(answer, UNDONE) and not asked[at][1].done()]
        if undone:
            again = await self._pipeline([whole(asked[place][0]) for place in undone])
            for place, answer in zip(undone, again, strict=True):
                answers[place] = answer

    def _settle(self, batch: Sequence[Wanted], answers: Sequence[object]) -> None:
        asked = (waiting for waiting in batch for _ in waiting[0])
        for waiting, answer in zip(asked, answers, strict=True):
            if isinstance(answer, Exception):
                self._trip(answer)
                fail((waiting,), answer)
        tell(batch, answers)

    def _trip(self, error: Exception) -> None:
        """Open the breaker if the server is out of reach, and spare those who wait the same discovery."""
        if unreachable(error) and not self._breaker.open:
            self._breaker.trip()
            fail(self._queue, error)
            self._queue.clear()
