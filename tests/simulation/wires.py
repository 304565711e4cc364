"""Connections in memory: octets travel late and in pieces, but in order, as they do in TCP.

Owns both ends: the transport that a protocol of `net/` writes to, and the client that reads lines from it. A client's
kernel holds a window of octets unread, then the server must wait. Refuses to lose or to reorder anything in between.
"""

import asyncio
from collections import deque
from typing import Any

from tests.simulation.loop import Process, SimulationLoop

WINDOW = 32 * 1024
LATENCY = 0.02
PATIENCE = 180.0
END = None
"""Stands behind the last octets that a client sends."""


class GoneError(Exception):
    """The other end closed, or said nothing for too long."""


class Wire(asyncio.Transport):
    """The server's end, in `process`."""

    def __init__(self, loop: SimulationLoop, process: Process, protocol: asyncio.Protocol) -> None:
        super().__init__()
        self.client = Client(self)
        self._loop = loop
        self._process = process
        self._protocol = protocol
        self._high = 64 * 1024
        self._outgoing = bytearray()
        self._incoming: deque[bytes | None] = deque()
        self._pumping = self._paused = self._held = self._closing = self._lost = False
        process.at_end(self._killed)
        process.soon(self._open)

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return default

    def is_closing(self) -> bool:
        return self._closing

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if self._closing:
            return
        self._outgoing += data
        if len(self._outgoing) > self._high and not self._paused:
            self._paused = True
            self._protocol.pause_writing()
        self.pump()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self._high = high or self._high

    def pause_reading(self) -> None:
        self._held = True

    def resume_reading(self) -> None:
        self._held = False
        self._process.soon(self._deliver)

    def close(self) -> None:
        if not self._closing:
            self._closing = True
            self.pump()

    def abort(self) -> None:
        self._closing = True
        self._outgoing.clear()
        self._lose(None)

    def reset(self) -> None:
        """The client is gone without a word."""
        self._process.soon(lambda: self._lose(ConnectionResetError("reset")))

    def receive(self, data: bytes | None) -> None:
        """The client sent octets, in as many pieces as the dice say."""
        dice = self._loop.dice
        while data and len(data) > 1 and dice.random() < 0.3:
            cut = dice.randrange(1, len(data))
            self._incoming.append(data[:cut])
            data = data[cut:]
        self._incoming.append(data)
        self._later(lambda: self._process.soon(self._deliver))

    def pump(self) -> None:
        """Have octets travel to the client, unless some do already or there are none."""
        if not self._pumping and (self._outgoing or self._closing):
            self._pumping = True
            self._later(self._carry)

    def _later(self, call: Any) -> None:
        self._loop.outside(self._loop.call_later, self._loop.dice.random() * LATENCY, call)

    def _open(self) -> None:
        self._protocol.connection_made(self)
        self._deliver()

    def _deliver(self) -> None:
        """Give the protocol what has come, as long as it reads."""
        while self._incoming and not (self._held or self._closing or self._lost):
            data = self._incoming.popleft()
            if data is not END:
                self._protocol.data_received(data)
            elif not self._protocol.eof_received():
                self.close()

    def _carry(self) -> None:
        self._pumping = False
        room = WINDOW - len(self.client.inbox)
        if room > 0 and self._outgoing:
            size, dice = len(self._outgoing), self._loop.dice
            size = min(room, dice.randrange(1, size + 1) if dice.random() < 0.2 else size)
            self.client.heard(bytes(self._outgoing[:size]))
            del self._outgoing[:size]
        if self._outgoing:
            if room > 0:
                self.pump()
        elif self._closing:
            self._process.soon(lambda: self._lose(None))
        if self._paused and len(self._outgoing) <= self._high // 4:
            self._process.soon(self._resume)

    def _resume(self) -> None:
        if self._paused and not self._lost:
            self._paused = False
            self._protocol.resume_writing()

    def _lose(self, error: Exception | None) -> None:
        if self._lost:
            return
        self._lost = self._closing = True
        self._outgoing.clear()
        self._later(self.client.ended)
        self._process.soon(lambda: self._protocol.connection_lost(error))

    def _killed(self) -> None:
        self._lost = self._closing = True
        self._outgoing.clear()
        self.client.ended()


class Client:
    """The client's end, in the world."""

    def __init__(self, wire: Wire) -> None:
        self.inbox = bytearray()
        self.closed = False
        """Whether the server's end was heard."""
        self._wire = wire
        self._news: asyncio.Future[None] | None = None

    def send(self, data: bytes) -> None:
        """Send; to nobody if the other end is gone."""
        self._wire.receive(data)

    def close(self) -> None:
        """Send no more."""
        self._wire.receive(END)

    def vanish(self) -> None:
        """Be gone without a word."""
        self._wire.reset()

    async def line(self, patience: float = PATIENCE) -> bytes:
        """The next line, with its CRLF. Raises GoneError."""
        while (end := self.inbox.find(b"\r\n")) < 0:
            if self.closed:
                raise GoneError("closed")
            await self._more(patience)
        line = bytes(self.inbox[: end + 2])
        del self.inbox[: end + 2]
        self._wire.pump()
        return line

    async def rest(self) -> bytes:
        """Everything until the server closes."""
        heard = bytearray()
        while True:
            heard += self.inbox
            self.inbox.clear()
            self._wire.pump()
            if self.closed:
                return bytes(heard)
            await self._more(PATIENCE)

    def heard(self, data: bytes) -> None:
        """Octets came."""
        self.inbox += data
        self._wake()

    def ended(self) -> None:
        """The server's end came."""
        self.closed = True
        self._wake()

    async def _more(self, patience: float) -> None:
        loop = asyncio.get_running_loop()
        self._news = loop.create_future()
        bored = loop.call_later(patience, self._give_up)
        try:
            await self._news
        finally:
            bored.cancel()

    def _give_up(self) -> None:
        if self._news is not None and not self._news.done():
            self._news.set_exception(GoneError("said nothing"))

    def _wake(self) -> None:
        if self._news is not None and not self._news.done():
            self._news.set_result(None)
