"""A pipeline on its way to a server without a task, and what its callers are told.

Owns which answers are whose. Refuses to know the queue, and when a pipeline is late: `batch` does.
"""

import asyncio
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final

from service.stores.redis.errors import CallFailed, kind_of
from service.stores.redis.line import Line, Lines
from service.stores.redis.scripts import Command, packed

if TYPE_CHECKING:
    from service.stores.redis.batch import Batcher

Wanted = tuple[Sequence[Command], "asyncio.Future[Any]", float, bool]
"""Commands that one caller waits for, the answer, when it is due, and whether it is a list, of several answers."""
DUE: Final = 2
"""Where a caller's answer says when it is due."""


class Flight:
    """A pipeline on its way by one of the `lines` that was at hand, without a task. Implements `line.Asker`."""

    __slots__ = ("_batcher", "_over", "batch", "due", "line", "lines")

    def __init__(self, batcher: "Batcher", batch: list[Wanted], lines: Lines, line: Line) -> None:
        self._batcher = batcher
        self._over: asyncio.Future[None] | None = None
        self.batch = batch
        self.lines = lines
        self.line = line
        self.due = batch[0][DUE]
        """When its answers are to be there; else its batcher ends the line."""

    def begin(self, commands: Sequence[Command]) -> None:
        """Send it: all that its callers ask."""
        try:
            octets = packed(commands)
        except Exception as error:  # whatever can't be sent: who waits hears so, as from `_send`
            return self.failed(error)
        try:
            self.line.send(octets, len(commands), self)
        except (OSError, RuntimeError) as error:
            # uvloop's word for a connection that ended, and was not told of yet.
            self.line.end(error)

    def over(self) -> "asyncio.Future[None]":
        """Done when it is over."""
        if self._over is None:
            self._over = asyncio.get_running_loop().create_future()
        return self._over

    def answered(self, answers: list[object], sound: bool) -> None:
        """All answers have come."""
        self._end()
        self._batcher.answered(self, answers, sound)

    def failed(self, error: Exception) -> None:
        """The connection ended before they had, or was ended as it took too long."""
        self._end()
        self._batcher.failed(self, error)

    def _end(self) -> None:
        if self._over is not None and not self._over.done():
            self._over.set_result(None)


def tell(batch: Iterable[Wanted], answers: Sequence[object]) -> None:
    """Give each caller his own, but who has given up or was told of a failure."""
    begin = 0
    for commands, answer, _, several in batch:
        end = begin + len(commands)
        if not answer.done():
            answer.set_result(answers[begin:end] if several else answers[begin])
        begin = end


def fail(batch: Iterable[Wanted], error: Exception) -> None:
    """Tell each caller who still waits that there is no answer."""
    for _, answer, _, _ in batch:
        if not answer.done():
            # Each caller raises an exception of its own: one shared by thousands would grow with each of them.
            failed = CallFailed(kind_of(error))
            failed.__cause__ = error
            answer.set_exception(failed)
