"""A TCP proxy of our own: each way from one process to one system, on which things go wrong.

Owns the connections through a way and what its present harm does to their octets (`harms.py`). Refuses to know why.
A way leads to whatever `target` says at the time of connecting, so that a failover moves it.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

PIECE = 1 << 16


class Harm:
    """What goes wrong on a way; this one does nothing. `mended` is set once it has passed."""

    refuses = False
    """Whether connections are closed as soon as they come, and those there are with them."""

    def __init__(self) -> None:
        self.mended = asyncio.Event()

    async def forth(self, pair: "Pair", octets: bytes) -> bytes:
        """What goes on of the octets that the client sent."""
        return octets

    async def back(self, pair: "Pair", octets: bytes) -> bytes:
        """What goes on of the octets that the server sent."""
        return octets


class Watch:
    """What is known of a connection that a harm may need; this one knows nothing."""

    def forth(self, octets: bytes) -> None:
        """The client sent `octets`."""

    def back(self, octets: bytes) -> None:
        """The server sent `octets`."""


@dataclass(eq=False)
class Pair:
    """One connection and its other half."""

    way: "Way"
    client: asyncio.StreamWriter
    server: asyncio.StreamWriter
    watch: Watch
    deaf: bool = False
    """Whether the client hears nothing any more."""

    def cut(self) -> None:
        """End both halves at once, with whatever is under way."""
        self.client.transport.abort()
        self.server.transport.abort()

    def answer(self, octets: bytes) -> None:
        """Say this to the client instead of what the server says, then close."""
        self.deaf = True
        self.client.write(octets)
        self.client.close()
        self.server.transport.abort()


@dataclass(eq=False)
class Way:
    """The way from `source` to `system`: a port of loopback that leads to the port `target()` says."""

    source: str
    system: str
    target: Callable[[], int]
    watch: Callable[[], Watch] = Watch
    port: int = 0
    harm: Harm = field(default_factory=Harm)
    _pairs: set[Pair] = field(default_factory=set)
    _tasks: set["asyncio.Task[None]"] = field(default_factory=set)
    _server: asyncio.Server | None = None

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """End every connection and take none any more."""
        if self._server is not None:
            self._server.close()
        self.cut()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def suffer(self, harm: Harm) -> None:
        """Let `harm` befall this way from now on."""
        self.harm = harm
        if harm.refuses:
            self.cut()

    def mend(self) -> None:
        """Let everything through again, what a harm held back first."""
        past, self.harm = self.harm, Harm()
        past.mended.set()

    def cut(self) -> None:
        """End the connections there are."""
        for pair in list(self._pairs):
            pair.cut()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if self.harm.refuses:
                writer.transport.abort()
                return
            back, server = await asyncio.open_connection("127.0.0.1", self.target())
        except OSError:
            writer.transport.abort()
            return
        pair = Pair(self, writer, server, self.watch())
        self._pairs.add(pair)
        try:
            await asyncio.gather(self._forth(pair, reader), self._back(pair, back))
        finally:
            pair.cut()
            self._pairs.discard(pair)

    async def _forth(self, pair: Pair, reader: asyncio.StreamReader) -> None:
        with suppress(OSError):
            while octets := await reader.read(PIECE):
                pair.watch.forth(octets)
                told = await self.harm.forth(pair, octets)
                if told and not pair.server.is_closing():
                    pair.server.write(told)
                    await pair.server.drain()
        _no_more(pair.server)

    async def _back(self, pair: Pair, reader: asyncio.StreamReader) -> None:
        with suppress(OSError):
            while octets := await reader.read(PIECE):
                pair.watch.back(octets)
                told = await self.harm.back(pair, octets)
                if told and not (pair.deaf or pair.client.is_closing()):
                    pair.client.write(told)
                    await pair.client.drain()
        if not pair.deaf:
            _no_more(pair.client)


def _no_more(writer: asyncio.StreamWriter) -> None:
    if not writer.is_closing():
        writer.close()
