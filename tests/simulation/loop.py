"""An event loop without a clock, a socket or a thread: time is virtual, and a seed chooses what runs next.

Owns time, which passes only when nothing is ready, the choice among what is ready, and processes: what one has begun
stops where it is when it dies, and waits when it is paused. Refuses to know what runs.
"""

import asyncio
import random
import warnings
from collections import deque
from collections.abc import Callable, Coroutine
from contextlib import suppress
from contextvars import Context, ContextVar, copy_context
from heapq import heappop, heappush
from itertools import count
from typing import Any, TypeVar, cast

STEPS = 100_000
"""Callbacks after which a schedule is taken to run in circles."""
PROCESS: "ContextVar[Process | None]" = ContextVar("process", default=None)
"""Whose the running code is; what it begins inherits it. None for the world outside all processes."""
Result = TypeVar("Result")


class StuckError(Exception):
    """Nothing is ready and no timer is set, or too much was ready too often."""


class Process:
    """One operating-system process, as the loop sees it."""

    def __init__(self, loop: "SimulationLoop", name: str) -> None:
        self.name = name
        self.alive = True
        self.paused = False
        self.tasks: list[asyncio.Task[Any]] = []
        self._loop = loop
        self._parked: list[asyncio.Handle] = []
        self._context = copy_context()
        self._context.run(PROCESS.set, self)
        self._endings: list[Callable[[], object]] = []

    def run(self, call: Callable[[], Result]) -> Result:
        """Call as if this process did. Not to be used from within one."""
        return self._context.copy().run(call)

    def soon(self, call: Callable[[], object]) -> None:
        """Have this process call it; later if it is paused, never if it is dead."""
        self._loop.call_soon(call, context=self._context.copy())

    def at_end(self, call: Callable[[], object]) -> None:
        """Have the world call it when this process dies, as a kernel closes sockets."""
        self._endings.append(call)

    def pause(self, seconds: float) -> None:
        """Stop everything for so long, as SIGSTOP does."""
        if self.alive and not self.paused:
            self.paused = True
            self._loop.outside(self._loop.call_later, seconds, self._resume)

    def die(self) -> None:
        """Stop everything for good: no `finally` is run."""
        if self.alive:
            self.alive = False
            self._parked.clear()
            for task in self.tasks:
                if task.done() and not task.cancelled():
                    # Nobody is left who would ask.
                    task.exception()
            for call in self._endings:
                self._loop.outside(self._loop.call_soon, call)

    def park(self, handle: asyncio.Handle) -> None:
        """Keep what would run now until the process goes on."""
        self._parked.append(handle)

    def _resume(self) -> None:
        self.paused = False
        parked, self._parked = self._parked, []
        self._loop.unpark(parked)


class SimulationLoop(asyncio.BaseEventLoop):
    """Runs one schedule; `dice` makes every choice in it."""

    _ready: deque[asyncio.Handle]

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.dice = random.Random(seed)
        self.steps = 0
        self.shuffles = True
        """Whether the seed chooses among what is ready; else it runs in the order in which it became so."""
        self.complaints: list[str] = []
        """What asyncio would have logged."""
        self._elapsed = 0.0
        self._timers: list[tuple[float, int, asyncio.TimerHandle]] = []
        self._count = count()
        self._world = copy_context()
        self._dead: list[asyncio.Task[Any]] = []
        self.set_task_factory(cast("Any", _task))
        self.set_exception_handler(self._complain)

    def time(self) -> float:
        """Virtual seconds since the loop was made."""
        return self._elapsed

    def call_at(  # type: ignore[override]
        self, when: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """As every loop does; of two timers of one moment, the first one is ready first."""
        timer = asyncio.TimerHandle(when, callback, args, self, context)
        heappush(self._timers, (when, next(self._count), timer))
        return timer

    def outside(self, call: Callable[..., Any], *args: Any) -> Any:
        """Call as the world does, whichever process the running code belongs to."""
        return self._world.copy().run(call, *args)

    def leap(self, seconds: float) -> None:
        """Have time pass while nothing at all happens."""
        self._elapsed += seconds

    def unpark(self, handles: list[asyncio.Handle]) -> None:
        """Let these run after all."""
        self._ready.extend(handles)

    def own(self, process: Process, task: asyncio.Task[Any]) -> None:
        """A process began a task."""
        process.tasks.append(task)
        self._dead.append(task)

    def finish(self) -> None:
        """Let go of everything, also of what dead processes left in the middle, and close."""
        for task in self._dead:
            if not task.done():
                setattr(task, "_log_destroy_pending", False)  # noqa: B010 - asyncio offers no other way
                coroutine = task.get_coro()
                with suppress(BaseException), warnings.catch_warnings():
                    # What a `finally` begins now is never awaited.
                    warnings.simplefilter("ignore", RuntimeWarning)
                    coroutine.close()
        self._dead.clear()
        self._ready.clear()
        self._timers.clear()
        self.close()

    def _run_once(self) -> None:
        timers = self._timers
        while timers and (timers[0][0] <= self._elapsed or timers[0][2].cancelled()):
            timer = heappop(timers)[2]
            if not timer.cancelled():
                self._ready.append(timer)
        if not self._ready:
            if not timers:
                raise StuckError("nothing is ready and no timer is set")
            self._elapsed = timers[0][0]
            return
        handle: Any = self._chosen()
        process = handle._context.get(PROCESS)
        if process is not None and not process.alive:
            return
        if process is not None and process.paused:
            process.park(handle)
            return
        if not handle._cancelled:
            self.steps += 1
            if self.steps > STEPS:
                raise StuckError(f"{STEPS} steps were not enough")
            handle._run()

    def _chosen(self) -> asyncio.Handle:
        ready = self._ready
        if self.shuffles and len(ready) > 1:
            ready.rotate(-int(self.dice.random() * len(ready)))
        return ready.popleft()

    def _write_to_self(self) -> None:
        """Nobody sleeps who would have to be woken."""

    def _complain(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        if not isinstance(context.get("exception"), asyncio.CancelledError):
            self.complaints.append(f"{context.get('message')}: {context.get('exception')!r}")


def _task(
    loop: asyncio.AbstractEventLoop, coro: Coroutine[Any, Any, Any], context: Context | None = None
) -> asyncio.Task[Any]:
    task = asyncio.Task(coro, loop=loop, context=context)
    process = (context or copy_context()).get(PROCESS)
    if process is not None and isinstance(loop, SimulationLoop):
        loop.own(process, task)
    return task
