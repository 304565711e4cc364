"""Commands of many sessions in one pipeline per turn of the event loop.

Owns the queue, its bound and the deadline: a command is answered or refused within it, waiting included.
A pipeline that misses its deadline is cancelled, which costs its connection, so that no reply is ever read
by the wrong caller. Nothing is repeated, except after NOSCRIPT, which says that nothing was done.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass

from redis.exceptions import NoScriptError

from service.stores.redis.breaker import Breaker
from service.stores.redis.errors import CallFailed, kind_of, unreachable
from service.stores.redis.scripts import Command, Word

Pipeline = Callable[[Sequence[tuple[Word, ...]]], Awaitable[list[object]]]
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


@dataclass(slots=True)
class _Waiting:
    command: Command
    answer: "asyncio.Future[object]"
    due: float


class Batcher:
    """Commands to one server."""

    def __init__(self, pipeline: Pipeline, probe: Callable[[], Awaitable[object]], limits: Limits) -> None:
        self._pipeline = pipeline
        self._limits = limits
        self._breaker = Breaker(probe, limits.pause)
        self._queue: deque[_Waiting] = deque()
        self._busy: set[asyncio.Task[None]] = set()
        self._scheduled = False

    def submit(self, command: Command) -> "asyncio.Future[object]":
        """The server's answer to come, in the pipeline of this turn; it may end with CallFailed.

        Raises CallFailed when the command isn't even taken.
        """
        self._breaker.check()
        if len(self._queue) >= self._limits.queue:
            raise CallFailed("overload")
        loop = asyncio.get_running_loop()
        waiting = _Waiting(command, loop.create_future(), loop.time() + self._limits.deadline)
        self._queue.append(waiting)
        if not self._scheduled and len(self._busy) < self._limits.connections:
            self._scheduled = True
            loop.call_soon(self._start)
        return waiting.answer

    def promise(self, command: Command) -> "asyncio.Future[object]":
        """The same, but that it isn't taken comes with the answer, too: for one of several that are waited for."""
        try:
            return self.submit(command)
        except CallFailed as failed:
            answer: asyncio.Future[object] = asyncio.get_running_loop().create_future()
            answer.set_exception(failed)
            return answer

    async def finish(self) -> None:
        """Wait for the answers to what was taken, and stop; nothing more may be submitted.

        Where this is cancelled it stops all the same: what still waits is refused.
        """
        try:
            while self._scheduled or self._busy:
                await asyncio.sleep(0)
                await asyncio.gather(*self._busy, return_exceptions=True)
        finally:
            await self.aclose()

    async def aclose(self) -> None:
        """Refuse what waits and stop."""
        await self._breaker.aclose()
        for task in self._busy:
            task.cancel()
        await asyncio.gather(*self._busy, return_exceptions=True)
        _fail(self._queue, ConnectionResetError())

    def _start(self) -> None:
        self._scheduled = False
        task = asyncio.get_running_loop().create_task(self._drain())
        self._busy.add(task)
        task.add_done_callback(self._busy.discard)

    async def _drain(self) -> None:
        while self._queue:
            await self._send(self._take())

    def _take(self) -> list[_Waiting]:
        """The next commands whose callers still wait."""
        taken: list[_Waiting] = []
        while self._queue and len(taken) < self._limits.batch:
            waiting = self._queue.popleft()
            if not waiting.answer.done():
                taken.append(waiting)
        return taken

    async def _send(self, batch: list[_Waiting]) -> None:
        if not batch:
            return
        try:
            async with asyncio.timeout_at(min(waiting.due for waiting in batch)):
                answers = await self._answers([waiting.command for waiting in batch])
        except asyncio.CancelledError:
            _fail(batch, ConnectionResetError())
            raise
        except Exception as error:
            self._trip(error)
            _fail(batch, error)
        else:
            self._settle(batch, answers)

    async def _answers(self, commands: Sequence[Command]) -> list[object]:
        answers = await self._pipeline([command.words for command in commands])
        unknown = [place for place, answer in enumerate(answers) if isinstance(answer, NoScriptError)]
        if unknown:
            again = await self._pipeline([commands[place].whole for place in unknown])
            for place, answer in zip(unknown, again, strict=True):
                answers[place] = answer
        return answers

    def _settle(self, batch: Sequence[_Waiting], answers: Sequence[object]) -> None:
        for waiting, answer in zip(batch, answers, strict=True):
            if isinstance(answer, Exception):
                self._trip(answer)
                _fail([waiting], answer)
            elif not waiting.answer.done():
                waiting.answer.set_result(answer)

    def _trip(self, error: Exception) -> None:
        """Open the breaker if the server is out of reach, and spare those who wait the same discovery."""
        if unreachable(error) and not self._breaker.open:
            self._breaker.trip()
            _fail(self._queue, error)
            self._queue.clear()


def _fail(batch: Iterable[_Waiting], error: Exception) -> None:
    for waiting in batch:
        if not waiting.answer.done():
            # Each caller raises an exception of its own: one shared by thousands would grow with each of them.
            failed = CallFailed(kind_of(error))
            failed.__cause__ = error
            waiting.answer.set_exception(failed)
