"""An S3 server that gives one blob, part by part, each when it is told to: a store that is slow but gives.

Owns the few lines of HTTP. Refuses to check who asks.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

HEAD = (
    "HTTP/1.1 206 Partial Content\r\nContent-Length: {octets}\r\nContent-Range: bytes 0-{last}/{octets}\r\n"
    'ETag: "x"\r\nLast-Modified: Thu, 26 Nov 2026 12:00:00 GMT\r\nConnection: close\r\n\r\n'
)


class Dribbling:
    """Answers each request with `blob`, and gives `part` octets more whenever `more` is set."""

    def __init__(self, blob: bytes, part: int) -> None:
        self.blob = blob
        self.part = part
        self.more = asyncio.Event()
        self.port = 0

    @asynccontextmanager
    async def listening(self) -> AsyncIterator["Dribbling"]:
        """On a port of the loopback interface."""
        server = await asyncio.start_server(self._answer, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            # Leaving the server as a context would wait, from CPython 3.12 on, for those to whom no more is given.
            server.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        octets = len(self.blob)
        writer.write(HEAD.format(octets=octets, last=octets - 1).encode())
        for begin in range(0, octets, self.part):
            await self.more.wait()
            self.more.clear()
            writer.write(self.blob[begin : begin + self.part])
            await writer.drain()
        writer.close()
