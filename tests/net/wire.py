"""A client whose every segment the test decides: a bare socket, and TLS pumped over it by hand."""

import asyncio
import socket
import ssl
from collections.abc import Iterator
from contextlib import suppress

LONGEST = 60.0
"""Seconds after which nothing comes any more: uvloop swallows what else would stop a test that waits for ever."""


class Wire:
    """A connected socket."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self._loop = asyncio.get_running_loop()
        self._buffer = b""

    @classmethod
    async def to(cls, port: int, host: str = "127.0.0.1") -> "Wire":
        sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await asyncio.get_running_loop().sock_connect(sock, (host, port))
        return cls(sock)

    @property
    def name(self) -> tuple[str, int]:
        address = self.sock.getsockname()
        return address[0], address[1]

    async def send(self, octets: bytes) -> None:
        await self._loop.sock_sendall(self.sock, octets)

    async def dribble(self, octets: bytes) -> None:
        """Each octet in a segment of its own; the server gets its turns in between."""
        for start in range(len(octets)):
            await self.send(octets[start : start + 1])
            await asyncio.sleep(0)

    async def receive(self) -> bytes:
        """The next octets; empty at the end, a reset included. Raises TimeoutError where nothing comes."""
        try:
            async with asyncio.timeout(LONGEST):
                return await self._loop.sock_recv(self.sock, 65536)
        except ConnectionError:
            return b""

    def taken(self) -> bytes:
        """What came behind the last line so far."""
        taken, self._buffer = self._buffer, b""
        return taken

    async def line(self) -> bytes:
        while b"\r\n" not in self._buffer:
            more = await self.receive()
            if not more:
                raise EOFError(self._buffer)
            self._buffer += more
        line, _, self._buffer = self._buffer.partition(b"\r\n")
        return line

    async def rest(self) -> bytes:
        """Everything until the server closes."""
        while more := await self.receive():
            self._buffer += more
        return self._buffer

    def close(self) -> None:
        self.sock.close()

    def reset(self) -> None:
        """Close with RST."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.sock.close()


class TlsWire:
    """TLS over a Wire; nothing is sent before `handshake`."""

    def __init__(
        self, wire: Wire, context: ssl.SSLContext, name: str | None, session: ssl.SSLSession | None = None
    ) -> None:
        self.wire = wire
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=name, session=session)
        self._buffer = bytearray()

    def hello(self) -> bytes:
        """The ClientHello, to be sent by the caller."""
        try:
            self.tls.do_handshake()
        except ssl.SSLWantReadError:
            return self._outgoing.read()
        raise AssertionError("a handshake needs the server")

    async def handshake(self, first: bytes = b"") -> None:
        """Shake hands; `first` goes encrypted in the segment that ends the handshake."""
        while True:
            try:
                self.tls.do_handshake()
            except ssl.SSLWantReadError:
                await self._flush()
                await self._feed()
            else:
                if first:
                    self.tls.write(first)
                await self._flush()
                return

    async def last_words(self) -> bytes:
        """What ends the handshake of TLS 1.3, to be sent by the caller."""
        await self.wire.send(self.hello())
        await self._feed()
        self.tls.do_handshake()
        return self._outgoing.read()

    async def send(self, octets: bytes) -> None:
        self.tls.write(octets)
        await self._flush()

    async def line(self) -> bytes:
        searched = 0
        while (end := self._buffer.find(b"\r\n", searched)) < 0:
            searched = max(len(self._buffer) - 1, 0)
            more = await self._read()
            if not more:
                raise EOFError(self._buffer)
            self._buffer += more
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 2]
        return line

    async def send_and_leave(self, octets: bytes) -> None:
        """Send `octets` and close_notify in one segment."""
        self.tls.write(octets)
        with suppress(ssl.SSLWantReadError):
            self.tls.unwrap()
        await self._flush()

    async def ended_with_close_notify(self) -> bool:
        """Whether the server said close_notify before it closed; what came before is thrown away."""
        try:
            while await self._read():
                pass
        except (EOFError, ssl.SSLEOFError):
            return False
        return True

    async def _read(self) -> bytes:
        while True:
            try:
                return self.tls.read(65536)
            except ssl.SSLZeroReturnError:
                return b""
            except ssl.SSLWantReadError:
                await self._feed()

    async def _feed(self) -> None:
        # They may have come with the line in clear before.
        more = self.wire.taken() or await self.wire.receive()
        if not more:
            raise EOFError
        self._incoming.write(more)

    async def _flush(self) -> None:
        if octets := self._outgoing.read():
            await self.wire.send(octets)


def cuts(octets: bytes) -> Iterator[tuple[bytes, bytes]]:
    """`octets` in two pieces, cut at every place."""
    for at in range(1, len(octets)):
        yield octets[:at], octets[at:]
