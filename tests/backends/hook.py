"""A provider's HTTP hook on loopback: a real server that answers as told, well or badly.

Owns the sockets and what came in over them. What it says is bytes, so that it can say what no framework would.
"""

import asyncio
import contextlib
import hmac
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

SECRET = "0123456789abcdef0123456789abcdef"

Behaviour = Callable[["Asked"], bytes | None]
"""What is sent back; None hangs until the client goes."""


@dataclass(frozen=True)
class Asked:
    """One question as it came."""

    headers: Mapping[str, str]
    body: bytes

    @property
    def form(self) -> dict[str, Any]:
        form: dict[str, Any] = json.loads(self.body)
        return form

    @property
    def genuine(self) -> bool:
        """Whether its signature holds, checked as the guide tells providers to."""
        text = self.headers["poplar-timestamp"].encode() + b"." + self.body
        wanted = "sha256=" + hmac.digest(SECRET.encode(), text, "sha256").hex()
        return hmac.compare_digest(wanted, self.headers["poplar-signature"])


@dataclass
class Hook:
    """The server; `say` may be changed at any moment."""

    port: int
    say: Behaviour
    asked: list[Asked] = field(default_factory=list)
    connections: int = 0
    hanging: int = 0
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once a question hangs."""
    writers: set[asyncio.StreamWriter] = field(default_factory=set)

    def drop(self) -> None:
        """Close every connection, in the middle of whatever it is."""
        for writer in tuple(self.writers):
            writer.close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/poplar"


def ok(body: bytes, *headers: str) -> bytes:
    """A response of status 200."""
    return response("200 OK", body, *headers)


def response(status: str, body: bytes, *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", "Content-Type: application/json", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def answer(asked: Asked, **said: object) -> bytes:
    """An answer in its form, by default to this question."""
    return ok(json.dumps({"id": asked.form["id"], **said}).encode())


def users(passwords: Mapping[str, str]) -> Behaviour:
    """What a hook does that knows these addresses and passwords."""

    def say(asked: Asked) -> bytes:
        right = passwords.get(asked.form["address"])
        known = right is not None and asked.form.get("password", right) == right
        return answer(asked, answer="allow" if known and asked.genuine else "deny")

    return say


@asynccontextmanager
async def hook(say: Behaviour, tls: ssl.SSLContext | None = None) -> AsyncIterator[Hook]:
    """A running hook."""
    state = Hook(0, say)
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        state.connections += 1
        state.writers.add(writer)
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            await _conversation(state, reader, writer)
        writer.close()
        state.writers.discard(writer)
        tasks.discard(task)

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    state.port = server.sockets[0].getsockname()[1]
    try:
        yield state
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _conversation(state: Hook, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while True:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:]) if name}
        asked = Asked(headers, await reader.readexactly(int(headers["content-length"])))
        state.asked.append(asked)
        said = state.say(asked)
        if said is None:
            await _hang(state, reader.read())
            return
        writer.write(said)
        await writer.drain()
        if b"Connection: close" in said:
            return


async def _hang(state: Hook, gone: Awaitable[bytes]) -> None:
    state.hanging += 1
    state.arrived.set()
    try:
        await gone
    finally:
        state.hanging -= 1
