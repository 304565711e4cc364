"""One connection to a server, as a protocol of the event loop's own: octets out, answers in, nothing in between.

Owns which answers belong to the pipeline under way, and that the connection ends with whatever comes unasked for: so no
answer is ever read by the wrong caller. redis-py makes and secures the connection, and tells its errors apart; from
then on each of its words would cost a coroutine or three.
Refuses to wait by the clock, and to know commands.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, cast

import hiredis
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import ConnectionError as BrokenError
from redis.exceptions import InvalidResponse

Make = Callable[[], AbstractConnection]


class Line(asyncio.Protocol):
    """Carries one pipeline at a time; made by `open_line`."""

    def __init__(self, source: "Handing") -> None:
        self._reader = hiredis.Reader(protocolError=InvalidResponse, replyError=source.error)
        self._writer = source.hand_over()
        """Kept for its transport, which it would close once nobody refers to it."""
        self._transport = cast("asyncio.Transport", self._writer.transport)
        self._transport.set_protocol(self)
        self._expected = 0
        self._answers: list[object] = []
        self._waiting: asyncio.Future[list[object]] | None = None
        self.broken = self._transport.is_closing()
        """Whether it is of no use any more."""

    def ask(self, octets: bytes, expected: int) -> "asyncio.Future[list[object]]":
        """Send a pipeline of so many commands; their answers, of which some may be exceptions.

        Whoever gives up waiting for them ends the line. It may end with redis-py's ConnectionError.
        """
        self._expected, self._answers = expected, []
        self._waiting = waiting = asyncio.get_running_loop().create_future()
        self._transport.write(octets)
        return waiting

    def data_received(self, data: bytes) -> None:
        """Take the answers in `data`."""
        reader = self._reader
        reader.feed(data)
        try:
            while (answer := reader.gets()) is not False:
                self._take(answer)
        except InvalidResponse as error:
            self.end(error)

    def connection_lost(self, exc: Exception | None) -> None:
        """The server, or this side, ended it."""
        self.end(exc)

    def end(self, cause: Exception | None = None) -> None:
        """End it now; who still waits hears so."""
        self.broken = True
        self._transport.abort()
        waiting, self._waiting = self._waiting, None
        if waiting is not None and not waiting.done():
            error = BrokenError("the connection ended")
            error.__cause__ = cause
            waiting.set_exception(error)

    def _take(self, answer: object) -> None:
        waiting = self._waiting
        if waiting is None:
            # What nobody asked for: a server that says it ends the connection, or worse.
            self.end()
            return
        self._answers.append(answer)
        if len(self._answers) == self._expected:
            self._waiting = None
            if not waiting.done():
                waiting.set_result(self._answers)


class Handing:
    """What makes a class of redis-py's connections hand its transport over, once it is connected."""

    _reader: asyncio.StreamReader | None
    _writer: asyncio.StreamWriter | None
    _parser: Any

    def error(self, text: str) -> Exception:
        """The exception that stands for a server's error."""
        return cast("Exception", self._parser.parse_error(text))

    def hand_over(self) -> asyncio.StreamWriter:
        """The way to the server, which is the taker's from now on. Raises ConnectionError if it ended already."""
        writer, self._writer, self._reader = self._writer, None, None
        if writer is None:
            raise BrokenError("the connection ended")
        return writer


def handing(connections: type[AbstractConnection]) -> type[AbstractConnection]:
    """The same class, whose connections can become lines."""
    return type("Handing" + connections.__name__, (Handing, connections), {})


async def open_line(make: Make) -> Line:
    """A new connection. Raises redis-py's errors."""
    connection = make()
    connect: Callable[[], Awaitable[object]] = connection.connect
    try:
        await connect()
        return Line(cast("Handing", connection))
    except BaseException:
        await connection.disconnect(nowait=True)
        raise
