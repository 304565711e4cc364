"""Connections to a provider's database that are open and not in use.

Owns that only one which ended a question well serves another: whatever else happened, a cancellation too, it is closed,
so that no answer can reach a later question. Refuses to bound them: the guard in front bounds the questions.
"""

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Generic, TypeVar

C = TypeVar("C")
IDLE_SECONDS = 60.0


class Connections(Generic[C]):
    """Made by `connect` when there is none idle, ended by `end`, which must not wait."""

    def __init__(self, connect: Callable[[], Awaitable[C]], end: Callable[[C], None]) -> None:
        self._connect = connect
        self._end = end
        self._idle: list[tuple[C, float]] = []

    @asynccontextmanager
    async def one(self, fresh: bool = False) -> AsyncIterator[tuple[C, bool]]:
        """A connection, and whether it was made just now; `fresh` asks for such a one."""
        kept = None if fresh else self._take()
        connection = kept if kept is not None else await self._connect()
        try:
            yield connection, kept is None
        except BaseException:
            self._end(connection)
            raise
        self._idle.append((connection, time.monotonic()))

    def close(self) -> None:
        """End all that are idle."""
        while self._idle:
            self._end(self._idle.pop()[0])

    def _take(self) -> C | None:
        before = time.monotonic() - IDLE_SECONDS
        while self._idle:
            connection, since = self._idle.pop()
            if since >= before:
                return connection
            self._end(connection)
        return None
