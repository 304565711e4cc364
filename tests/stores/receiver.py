"""A receiver of webhooks, as small as one can be: a real HTTP server that fails, hangs or turns away as it is told."""

import asyncio
import hashlib
import hmac
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

SECRET = "a secret of some thirty-two characters"


@dataclass
class Receiver:
    """`answer` is the next status; 0 hangs, -1 keeps the batch and drops the connection unanswered."""

    answer: int = 204
    bodies: list[dict[str, Any]] = field(default_factory=list)
    requests: int = 0
    signatures: list[str] = field(default_factory=list)
    port: int = 0
    hold: asyncio.Event = field(default_factory=asyncio.Event)
    server: asyncio.Server | None = None
    writers: list[asyncio.StreamWriter] = field(default_factory=list)

    def stop(self) -> None:
        """Be gone: nobody listens any more, and every connection is cut."""
        self.hold.set()
        if self.server is not None:
            self.server.close()
        for writer in self.writers:
            writer.transport.abort()

    @property
    def sessions(self) -> list[str]:
        """Of all events that were kept, in order of arrival."""
        return [event["session"] for body in self.bodies for event in body["events"]]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writers.append(writer)
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                await self._one(head.decode(), reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _one(self, head: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        headers = dict(line.split(": ", 1) for line in head.lower().splitlines()[1:] if line)
        body = await reader.readexactly(int(headers["content-length"]))
        self.requests += 1
        if self.answer == 0:
            await self.hold.wait()
        if self.answer in {204, -1}:
            check(headers["poplar-signature"], body)
            self.signatures.append(headers["poplar-signature"])
            self.bodies.append(json.loads(body))
        if self.answer == -1:
            raise ConnectionResetError
        status = self.answer or 204
        more = "Location: http://127.0.0.1:1/\r\n" if 300 <= status < 400 else ""
        writer.write(f"HTTP/1.1 {status} X\r\n{more}Content-Length: 0\r\n\r\n".encode())


def check(signature: str, body: bytes) -> None:
    """As deploy/decisions/events.md tells receivers to."""
    parts = dict(part.split("=", 1) for part in signature.split(","))
    expected = hmac.new(SECRET.encode(), f"{parts['t']}.".encode() + body, hashlib.sha256).hexdigest()
    assert hmac.compare_digest(parts["v1"], expected)


@asynccontextmanager
async def receiving(context: ssl.SSLContext | None = None, port: int = 0) -> AsyncIterator[Receiver]:
    """A receiver on loopback, gone at the end of the block."""
    receiver = Receiver()
    receiver.server = await asyncio.start_server(receiver.serve, "127.0.0.1", port, ssl=context)
    receiver.port = receiver.server.sockets[0].getsockname()[1]
    try:
        yield receiver
    finally:
        receiver.stop()
