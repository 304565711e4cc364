"""Connections to one server, each of which carries one pipeline at a time.

Owns their reuse: one is looked at before it is used again, and ended by whatever breaks off, so that no answer is ever
read by the wrong caller. redis-py makes and secures the connections and knows their format; its own pool and pipelines
cost three times as much processor time as all the rest of a pipeline of a few commands.
Refuses to wait by the clock and to bound their number: its caller has a deadline for the whole, and so many in flight.
"""

from collections.abc import Awaitable, Callable, Sequence

from redis.asyncio.cluster import ClusterNode
from redis.asyncio.connection import AbstractConnection, ConnectionPool
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as BrokenError
from redis.exceptions import ReadOnlyError, ResponseError

from service.stores.redis.scripts import Word, packed


class Wire:
    """The way to the server of `source`: a client's pool (perhaps of Sentinel's master), or a cluster's node."""

    def __init__(self, source: ConnectionPool | ClusterNode) -> None:
        self._make = _maker(source)
        self._idle: list[AbstractConnection] = []
        self._era = 0
        """Connections that were taken in an earlier one aren't used again."""
        self._closed = False

    async def __call__(self, commands: Sequence[tuple[Word, ...]]) -> list[object]:
        """An answer or an exception for each. Raises redis-py's errors when the connection fails."""
        era = self._era
        connection = self._idle.pop() if self._idle else self._make()
        try:
            await _ready(connection)
            await connection.send_packed_command(packed(commands), check_health=False)
            answers = [await self._answer(connection) for _ in commands]
        except BaseException:
            await connection.disconnect(nowait=True)
            # What broke this one may have broken all: a server that is gone, or is the master no more.
            await self.renew()
            raise
        if self._closed or era != self._era:
            await connection.disconnect(nowait=True)
        else:
            self._idle.append(connection)
        return answers

    async def renew(self) -> None:
        """Use no connection again that there is now."""
        self._era += 1
        while self._idle:
            await self._idle.pop().disconnect(nowait=True)

    async def aclose(self) -> None:
        """End every connection."""
        self._closed = True
        await self.renew()

    async def _answer(self, connection: AbstractConnection) -> object:
        try:
            return await connection.read_response()
        except ReadOnlyError as error:
            # The same address, or Sentinel, may lead to another server by now.
            await self.renew()
            return error
        except ResponseError as error:
            return error


def _maker(source: ConnectionPool | ClusterNode) -> Callable[[], AbstractConnection]:
    # Without a time of its own a connection needs neither a task nor a timer for each word. A cluster's node would try
    # again by itself.
    options = source.connection_kwargs | {"socket_timeout": None, "retry": Retry(NoBackoff(), 0)}
    make: Callable[..., AbstractConnection] = source.connection_class
    return lambda: make(**options)


async def _ready(connection: AbstractConnection) -> None:
    """Connected, and with nothing to be read: a server may have ended it since, or said what nobody waits for."""
    if connection.is_connected:
        try:
            clean = not await connection.can_read()
        except (BrokenError, OSError):
            clean = False
        if clean:
            return
        await connection.disconnect(nowait=True)
    connect: Callable[[], Awaitable[object]] = connection.connect
    await connect()
