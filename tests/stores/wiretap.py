"""A proxy before a real Postgres that counts round trips and loses what a test wants lost.

Owns the framing of the frontend's messages; refuses to know what they say.
"""

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit, urlunsplit

SSL_REQUEST = 80877103
SYNC, PARSE = ord("S"), ord("P")


class Wiretap:
    """Forwards to `target`. A Sync from the client ends each of its round trips."""

    def __init__(self, target: tuple[str, int]) -> None:
        self._target = target
        self.round_trips = 0
        self.connections = 0
        self.refuse = False
        """Whether new connections are closed at once."""
        self.lose = 0
        """So many of the next round trips are carried out and their answers lost with the connection."""
        self.silence = 0
        """So many of the next round trips are carried out and their answers never arrive."""
        self.go = asyncio.Event()
        """Where it isn't set, what clients say waits for it."""
        self.go.set()
        self.waits = asyncio.Event()
        """Whether something has waited so."""
        self.prepared: list[bytes] = []
        """The names under which clients prepared statements."""
        self._open: set[asyncio.StreamWriter] = set()
        self._fate: dict[asyncio.StreamWriter, str] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        if self.refuse:
            writer.close()
            return
        there, back = await asyncio.open_connection(*self._target)
        self._open.add(writer)
        answers = asyncio.create_task(self._answers(there, writer))
        self._tasks.add(answers)
        try:
            await self._requests(reader, back, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self._open.discard(writer)
            back.close()
            writer.close()

    def vanish(self) -> None:
        """Answer no more on the connections that there are, as a host whose power is gone."""
        self._fate |= dict.fromkeys(self._open, "silence")

    async def _requests(
        self, reader: asyncio.StreamReader, back: asyncio.StreamWriter, client: asyncio.StreamWriter
    ) -> None:
        started = False
        while True:
            head = await reader.readexactly(5 if started else 4)
            octets = struct.unpack("!I", head[-4:])[0]
            body = await reader.readexactly(octets - 4)
            if started and head[0] == SYNC:
                self._count(client)
            if started and head[0] == PARSE and (name := body.partition(b"\0")[0]):
                self.prepared.append(name)
            if not self.go.is_set():
                self.waits.set()
                await self.go.wait()
            started = started or struct.unpack("!I", body[:4])[0] != SSL_REQUEST
            back.write(head + body)
            await back.drain()

    def _count(self, client: asyncio.StreamWriter) -> None:
        self.round_trips += 1
        if self.lose:
            self.lose -= 1
            self._fate[client] = "lose"
        elif self.silence:
            self.silence -= 1
            self._fate[client] = "silence"

    async def _answers(self, there: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        try:
            while octets := await there.read(65536):
                if self._fate.get(client) == "lose":
                    client.transport.abort()
                elif client not in self._fate:
                    client.write(octets)
                    await client.drain()
        except ConnectionError:
            pass
        client.close()


@dataclass
class Silence:
    """A host that takes connections and says nothing."""

    host: str = ""
    """With its port."""
    taken: int = 0

    def take(self, _reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        """One more connection."""
        self.taken += 1


@asynccontextmanager
async def silent() -> AsyncIterator[Silence]:
    """It, on a port of the loopback interface."""
    silence = Silence()
    server = await asyncio.start_server(silence.take, "127.0.0.1", 0)
    silence.host = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield silence
    finally:
        server.close()


@asynccontextmanager
async def tapped(dsn: str) -> AsyncIterator[tuple[Wiretap, str]]:
    """A tap before the server of `dsn`, and the DSN that leads through it."""
    parts = urlsplit(dsn)
    tap = Wiretap((parts.hostname or "127.0.0.1", parts.port or 5432))
    server = await asyncio.start_server(tap.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    user = parts.netloc.rpartition("@")[0]
    try:
        yield tap, urlunsplit(parts._replace(netloc=f"{user}@127.0.0.1:{port}"))
    finally:
        server.close()
