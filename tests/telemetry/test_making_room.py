"""The port of probes, metrics and the API stays usable, whoever connects to it and says nothing. G15, RFC 9112 §9.5."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from urllib.parse import urlsplit

import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from service.telemetry import making_room
from service.telemetry.health import ops_app
from service.telemetry.making_room import MOST
from service.telemetry.registries import own_registry
from service.telemetry.serving import serving

REFUSED_FROM = 200
"""Connections with which uvicorn answers every request with 503."""
REQUEST = b"GET /livez HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Crowd:
    """Connections to one place, closed in the end."""

    def __init__(self, place: tuple[str, int], stack: AsyncExitStack) -> None:
        self._place = place
        self._stack = stack

    async def one(self, sends: bytes = b"") -> Stream:
        reader, writer = await asyncio.open_connection(*self._place)
        self._stack.callback(writer.close)
        writer.write(sends)
        return reader, writer

    async def answer(self) -> bytes:
        reader, _ = await self.one(REQUEST)
        async with asyncio.timeout(30):
            return await reader.read()


async def ended_early(reader: asyncio.StreamReader, octets: int) -> bool:
    """Whether the connection ends before so many octets came."""
    async with asyncio.timeout(30):
        try:
            return len(await reader.read(-1)) < octets
        except ConnectionResetError:
            return True


@asynccontextmanager
async def crowd(app: ASGIApp) -> AsyncIterator[Crowd]:
    async with serving(app, "127.0.0.1", 0) as url, AsyncExitStack() as stack:
        parts = urlsplit(url)
        yield Crowd((parts.hostname or "", parts.port or 0), stack)


@pytest.mark.parametrize(
    "sends", [b"", b"GET /livez HT", b"PRO", REQUEST[:-2]], ids=["nothing", "half", "PROXY", "all but"]
)
async def test_a_probe_is_answered_whatever_crowd_of_connections_waits(sends: bytes) -> None:
    async with crowd(ops_app(lambda: "ready", own_registry)) as place:
        for _ in range(REFUSED_FROM + 20):
            await place.one(sends)
        assert (await place.answer()).startswith(b"HTTP/1.1 200 OK\r\n")


async def test_the_oldest_that_waits_makes_room_and_who_is_being_answered_stays() -> None:
    began, go_on = asyncio.Event(), asyncio.Event()

    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        began.set()
        await go_on.wait()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"4")]})
        await send({"type": "http.response.body", "body": b"done"})

    async with crowd(slow) as place:
        asked, _ = await place.one(REQUEST)
        await began.wait()
        oldest, _ = await place.one()
        crowded = [await place.one() for _ in range(MOST)]
        async with asyncio.timeout(30):
            assert await ended_early(oldest, 1)
            go_on.set()
            assert (await asked.read()).endswith(b"\r\n\r\ndone")
        assert not crowded[-1][0].at_eof()


async def test_who_does_not_read_what_it_asked_for_makes_room_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(making_room, "MOST", 3)
    piece, pieces, made = b"x" * 65536, 512, making_room.MakingRoom.connection_made
    seen: list[making_room.MakingRoom] = []

    def noted(self: making_room.MakingRoom, transport: asyncio.Transport) -> None:
        seen.append(self)
        made(self, transport)

    async def long(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(pieces):
            await send({"type": "http.response.body", "body": piece, "more_body": True})

    monkeypatch.setattr(making_room.MakingRoom, "connection_made", noted)
    async with crowd(long) as place:
        oldest, _ = await place.one(REQUEST)
        while not await stalls(seen):
            continue
        for _ in range(3):
            await place.one()
        assert await ended_early(oldest, pieces * len(piece))


async def stalls(seen: list[making_room.MakingRoom]) -> bool:
    """Whether the kernel takes no more of what the first connection is to send."""
    before = [each.transport.get_write_buffer_size() for each in seen[:1]]
    await asyncio.sleep(0.1)
    after = [each.transport.get_write_buffer_size() for each in seen[:1] if each.flow.write_paused]
    return before == after != []
