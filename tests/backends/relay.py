"""A TCP relay on loopback that can fall silent in the middle, as a broken network does.

Owns both directions and counts what went through. Refuses to know the protocol.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Relay:
    """Relays to `port`. `sends` counts the pieces that clients sent, `connections` theirs, `ended` those they left."""

    def __init__(self, port: int) -> None:
        self._to = port
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.port = 0
        self.sends = 0
        self.connections = 0
        self.ended = 0
        self._clients: list[asyncio.StreamWriter] = []

    def interject(self, octets: bytes) -> None:
        """Say this to every client, as if the server had."""
        for client in self._clients:
            client.write(octets)

    def fall_silent(self) -> None:
        """Let nothing come back from now on, with every connection left open."""
        self._flowing.clear()

    def lead_to(self, port: int) -> None:
        """Relay new connections there."""
        self._to = port

    def speak(self) -> None:
        """Let everything flow, what was held back first."""
        self._flowing.set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._clients.append(writer)
        to_reader, to_writer = await asyncio.open_connection("127.0.0.1", self._to)
        for pump in (self._forth(reader, to_writer), self._back(to_reader, writer)):
            task = asyncio.create_task(pump)
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _forth(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while octets := await reader.read(1 << 20):
            self.sends += 1
            writer.write(octets)
        self.ended += 1
        writer.close()

    async def _back(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while octets := await reader.read(1 << 20):
            await self._flowing.wait()
            writer.write(octets)
        writer.close()

    async def end(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


@asynccontextmanager
async def relay_to(port: int, tls: ssl.SSLContext | None = None) -> AsyncIterator[Relay]:
    """A relay to a port of this machine; with `tls`, clients speak TLS to it."""
    relay = Relay(port)
    server = await asyncio.start_server(relay.serve, "127.0.0.1", 0, ssl=tls)
    relay.port = server.sockets[0].getsockname()[1]
    try:
        yield relay
    finally:
        server.close()
        await relay.end()
