"""One connection to a server, as a protocol of the event loop's own: octets out, answers in, nothing in between.

Owns which answers belong to the pipeline under way, and that the connection ends with whatever comes unasked for: so no
answer is ever read by the wrong caller. redis-py makes and secures the connection, and tells its errors apart; from
then on each of its words would cost a coroutine or three.
Refuses to wait by the clock, and to know commands.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol, cast

import hiredis
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import ConnectionError as BrokenError
from redis.exceptions import InvalidResponse

Make = Callable[[], AbstractConnection]
NOTHING = object()
"""What a reader has where no answer is whole."""


class Asker(Protocol):
    """Who sent a pipeline. One of the two is called, once, whenever the line hears it: so neither may wait."""

    def answered(self, answers: list[object], sound: bool) -> None:
        """All answers have come; none of them is an exception if they are `sound`."""

    def failed(self, error: Exception) -> None:
        """The connection ended before they had."""


class Lines(Protocol):
    """Connections that are at hand, as `wire.Wire` keeps them."""

    def take(self) -> "Line | None":
        """One of them, to be given back or told lost."""

    def give_back(self, line: "Line") -> None:
        """It may be used again."""

    def lost(self, line: "Line") -> None:
        """It failed."""

    def look_through(self, answers: Sequence[object]) -> None:
        """Raises what is no answer but says that the server serves nobody now."""


class Line(asyncio.Protocol):
    """Carries one pipeline at a time; made by `open_line`."""

    def __init__(self, source: "Handing") -> None:
        self._reader = hiredis.Reader(protocolError=InvalidResponse, replyError=self._error, notEnoughData=NOTHING)
        self._error_of = source.error
        self._writer = source.hand_over()
        """Kept for its transport, which it would close once nobody refers to it."""
        self._transport = cast("asyncio.Transport", self._writer.transport)
        self._transport.set_protocol(self)
        self._expected = 0
        self._answers: list[object] = []
        self._sound = True
        self._asker: Asker | None = None
        self.broken = self._transport.is_closing()
        """Whether it is of no use any more."""
        self.era = 0
        """When it was taken into use, by the count of its keeper."""

    def send(self, octets: bytes, expected: int, asker: Asker) -> None:
        """Send a pipeline of so many commands; `asker` hears their answers, of which some may be exceptions."""
        self._expected, self._answers, self._sound, self._asker = expected, [], True, asker
        self._transport.write(octets)

    def ask(self, octets: bytes, expected: int) -> "asyncio.Future[list[object]]":
        """The same, for who waits for the answers, and ends the line where it gives up.

        It may end with redis-py's ConnectionError. Raises what the transport does.
        """
        waiting = Waiting(asyncio.get_running_loop().create_future())
        try:
            self.send(octets, expected, waiting)
        except (OSError, RuntimeError):
            # Nobody was given the future, so nobody would look at what it ends with.
            self._asker = None
            raise
        return waiting.future

    def data_received(self, data: bytes) -> None:
        """Take the answers in `data`."""
        reader, answers = self._reader, self._answers
        reader.feed(data)
        try:
            answers.extend(iter(reader.gets, NOTHING))
        except InvalidResponse as error:
            self.end(error)
            return
        asker = self._asker
        if asker is not None and len(answers) == self._expected:
            self._asker, self._answers = None, []
            asker.answered(answers, self._sound)
        elif asker is None or len(answers) > self._expected:
            # What nobody asked for: a server that says it ends the connection, or worse.
            self.end()

    def connection_lost(self, exc: Exception | None) -> None:
        """The server, or this side, ended it."""
        self.end(exc)

    def end(self, cause: Exception | None = None) -> None:
        """End it now; who still waits hears so, or that it took too long."""
        self.broken = True
        self._transport.abort()
        asker, self._asker = self._asker, None
        if asker is not None:
            asker.failed(cause if isinstance(cause, TimeoutError) else _broken(cause))

    def _error(self, text: str) -> Exception:
        self._sound = False
        return self._error_of(text)


def _broken(cause: Exception | None) -> BrokenError:
    error = BrokenError("the connection ended")
    error.__cause__ = cause
    return error


class Waiting:
    """Implements `Asker` for who waits."""

    __slots__ = ("future",)

    def __init__(self, future: "asyncio.Future[list[object]]") -> None:
        self.future = future

    def answered(self, answers: list[object], sound: bool) -> None:
        """Hand them over, if anybody still waits."""
        if not self.future.done():
            self.future.set_result(answers)

    def failed(self, error: Exception) -> None:
        """Say so, if anybody still waits."""
        if not self.future.done():
            self.future.set_exception(error)


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
