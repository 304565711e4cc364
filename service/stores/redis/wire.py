"""The way to one server: connections, each of which carries one pipeline at a time.

Owns their reuse: one that broke is not used again, nor any of those that there were before something said that the
server may be another one by now. redis-py's own pool and pipelines cost ten times as much processor time.
Refuses to wait by the clock and to bound their number: its caller has a deadline for the whole, and so many in flight.
"""

from collections.abc import Callable, Sequence

from redis.asyncio.cluster import ClusterNode
from redis.asyncio.connection import AbstractConnection, ConnectionPool
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as BrokenError
from redis.exceptions import ReadOnlyError

from service.stores.redis.line import Line, handing, open_line
from service.stores.redis.scripts import Word, packed


class Wire:
    """The way to the server of `source`: a client's pool (perhaps of Sentinel's master), or a cluster's node."""

    def __init__(self, source: ConnectionPool | ClusterNode) -> None:
        self._make = _maker(source)
        self._idle: list[Line] = []
        self._era = 0
        """Connections that were taken in an earlier one aren't used again."""
        self._closed = False

    async def __call__(self, commands: Sequence[tuple[Word, ...]]) -> list[object]:
        """An answer or an exception for each. Raises redis-py's errors when the connection fails."""
        line = self.take() or await self._opened()
        try:
            answers = await line.ask(packed(commands), len(commands))
            self.look_through(answers)
        except BaseException:
            self.lost(line)
            raise
        self.give_back(line)
        return answers

    def take(self) -> Line | None:
        """A connection that is at hand, to be given back or told lost."""
        while self._idle:
            line = self._idle.pop()
            if not line.broken:
                return line
        return None

    def give_back(self, line: Line) -> None:
        """It may be used again, unless something was said about all of its time."""
        if self._closed or line.era != self._era:
            line.end()
        else:
            self._idle.append(line)

    def lost(self, line: Line) -> None:
        """It failed: what broke this one may have broken all, as a server that is gone, or is the master no more."""
        line.end()
        self.renew()

    def look_through(self, answers: Sequence[object]) -> None:
        """Raises what is no answer but says that the server serves nobody now."""
        for answer in answers:
            if isinstance(answer, BrokenError):
                raise answer
            if isinstance(answer, ReadOnlyError):
                # The same address, or Sentinel, may lead to another server by now.
                self.renew()

    def renew(self) -> None:
        """Use no connection again that there is now."""
        self._era += 1
        while self._idle:
            self._idle.pop().end()

    async def aclose(self) -> None:
        """End every connection."""
        self._closed = True
        self.renew()

    async def _opened(self) -> Line:
        era = self._era
        try:
            line = await open_line(self._make)
        except BaseException:
            self.renew()
            raise
        line.era = era
        return line


def _maker(source: ConnectionPool | ClusterNode) -> Callable[[], AbstractConnection]:
    # A cluster's node would try again by itself; the deadline is the caller's.
    options = source.connection_kwargs | {"socket_timeout": None, "retry": Retry(NoBackoff(), 0)}
    make: Callable[..., AbstractConnection] = handing(source.connection_class)
    return lambda: make(**options)
