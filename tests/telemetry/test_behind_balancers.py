"""A PROXY header before the request on the ops port: what PROXY §2 describes, tolerated and not believed."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.protocol.proxy import ProxyError
from service.telemetry.behind_balancers import Preface
from service.telemetry.health import ops_app
from service.telemetry.registries import own_registry
from service.telemetry.serving import serving
from tests.protocol.proxy_headers import LOCAL, addresses, checked, header, tls

REQUEST = b"GET /livez HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
HEADERS = {
    "version 2": header(addresses("203.0.113.7", 40000)),
    "version 2 of a check by the balancer itself": header(b"", family=0, command=LOCAL),
    "version 2 with TLS and a checksum": checked(addresses("203.0.113.7", 40000) + tls()),
    "version 1": b"PROXY TCP4 203.0.113.7 192.0.2.9 40000 8080\r\n",
    "version 1 of an unknown client": b"PROXY UNKNOWN\r\n",
    "no header": b"",
}


@asynccontextmanager
async def ops_port() -> AsyncIterator[tuple[str, int]]:
    async with serving(ops_app(lambda: "ready", own_registry), "127.0.0.1", 0) as url:
        parts = urlsplit(url)
        yield parts.hostname or "", parts.port or 0


async def answer_to(place: tuple[str, int], *pieces: bytes) -> bytes:
    reader, writer = await asyncio.open_connection(*place)
    writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for piece in pieces:
        writer.write(piece)
        await writer.drain()
    async with asyncio.timeout(30):
        answer = await reader.read()
    writer.close()
    return answer


@pytest.mark.parametrize("sent", HEADERS.values(), ids=HEADERS)
async def test_a_health_check_is_answered_whatever_header_comes_before_it(sent: bytes) -> None:
    async with ops_port() as place:
        answer = await answer_to(place, sent + REQUEST)
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert answer.endswith(b"alive\n")


@pytest.mark.parametrize("sent", HEADERS.values(), ids=HEADERS)
async def test_a_header_may_come_octet_by_octet(sent: bytes) -> None:
    async with ops_port() as place:
        answer = await answer_to(place, *(bytes([octet]) for octet in sent + REQUEST))
    assert answer.endswith(b"alive\n")


@pytest.mark.parametrize(
    "sent",
    [
        header(addresses("203.0.113.7", 40000)[:5]),
        b"PROXY TCP4 nobody 192.0.2.9 1 2\r\n",
        b"PROXY " + b"x" * 200,
    ],
)
async def test_a_malformed_header_ends_the_connection_without_an_answer(sent: bytes) -> None:
    async with ops_port() as place:
        assert await answer_to(place, sent + REQUEST) == b""


async def test_a_second_request_needs_no_second_header() -> None:
    first = REQUEST.replace(b"Connection: close\r\n", b"")
    async with ops_port() as place:
        answer = await answer_to(place, HEADERS["version 2"] + first, REQUEST)
    assert answer.count(b"alive\n") == 2


async def test_a_method_that_begins_like_the_header_is_a_request() -> None:
    async with ops_port() as place:
        answer = await answer_to(place, b"PR", b"OPFIND /livez HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 405 ")


@given(sent=st.sampled_from(list(HEADERS.values())), cuts=st.lists(st.integers(0, 200), max_size=5))
def test_however_it_is_cut_what_follows_the_header_is_whole(sent: bytes, cuts: list[int]) -> None:
    octets, preface, given_on = sent + REQUEST, Preface(), b""
    places = [0, *sorted(min(cut, len(octets)) for cut in cuts), len(octets)]
    past = False
    for start, end in pairwise(places):
        piece = octets[start:end]
        request = piece if past else preface.feed(piece)
        past, given_on = past or request is not None, given_on + (request or b"")
    assert given_on == REQUEST


@given(st.binary(max_size=300))
def test_any_octets_pass_on_wait_or_end_the_connection(octets: bytes) -> None:
    preface = Preface()
    try:
        assert preface.feed(octets) in (octets, None)
    except ProxyError:
        assert octets.startswith((b"PROXY ", b"\r\n\r\n\x00\r\nQUIT\n"))
