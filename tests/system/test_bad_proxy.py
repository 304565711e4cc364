"""PROXY headers and TLS hellos, good and bad, at a real front end: F02 to F15. G12.

RFC 8314 §3.2 and §3.3; cpython#142352, uvloop#707 (a header and a ClientHello in one segment).
"""

import asyncio
import json
import socket
from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress
from pathlib import Path

import pytest

from tests.backends.demo import Place, RunningDemo
from tests.cli.conftest import await_true
from tests.net.wire import TlsWire
from tests.net.wire import Wire as SegmentWire
from tests.protocol.proxy_headers import INET6, LOCAL, addresses, checked, header, tls
from tests.protocol.test_proxy import BAD
from tests.system.clients.maildrop import trusting
from tests.system.front_end import POP3, FrontEnd, front_end

TRUSTED = {"proxy_protocol": "required", "trusted": ["127.0.0.0/8"]}
LISTENERS = (
    POP3 | TRUSTED | {"name": "proxied", "tls": "none"},
    POP3 | TRUSTED | {"name": "proxied-tls", "tls": "implicit"},
    POP3 | TRUSTED | {"name": "strangers", "tls": "none", "trusted": ["192.0.2.0/24"]},
    POP3 | {"name": "tls", "tls": "implicit"},
)
LINE = b"PROXY TCP4 203.0.113.7 192.0.2.9 50000 995\r\n"
ROWS = {row: octets for row, octets in BAD.items() if row.startswith("F")}


@pytest.fixture(scope="module")
def front(demo: RunningDemo, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FrontEnd]:
    """A front end that waits 3 seconds for a handshake."""
    with front_end(demo, tmp_path_factory.mktemp("front"), LISTENERS, deadlines={"handshake": 3.0}) as started:
        yield started


def answer(place: Place, octets: bytes) -> bytes:
    """Everything that comes after `octets`, until the server closes; it may reset what it didn't read."""
    said = b""
    with closing(socket.create_connection((place.host, place.port), timeout=60)) as sock, suppress(ConnectionError):
        sock.sendall(octets)
        while more := sock.recv(65536):
            said += more
    return said


def client_of(front: FrontEnd, listener: str) -> str:
    """The client's address in the newest line about a session at `listener`."""
    lines = [json.loads(line) for line in front.command.said.splitlines()]
    return str([line["client"] for line in lines if line.get("listener") == listener and "end" in line][-1])


def ends(front: FrontEnd, listener: str) -> int:
    return sum(f'"listener":"{listener}"' in line and '"end"' in line for line in front.command.said.splitlines())


def served(front: FrontEnd, octets: bytes) -> tuple[bytes, str]:
    """What a session behind the header `octets` is told, and the client's address in its log."""
    before = ends(front, "proxied")
    said = answer(front.place("proxied"), octets + b"CAPA\r\nQUIT\r\n")
    await_true(lambda: ends(front, "proxied") > before, "the session's line")
    return said, client_of(front, "proxied")


@pytest.mark.parametrize("octets", [LINE, header(addresses("203.0.113.7", 50000))], ids=["v1", "v2"])
def test_f02_a_header_from_an_untrusted_peer_is_closed_without_an_octet(front: FrontEnd, octets: bytes) -> None:
    assert answer(front.place("strangers"), octets) == b""


@pytest.mark.parametrize("octets", ROWS.values(), ids=ROWS)
def test_a_malformed_header_is_closed_without_an_octet(front: FrontEnd, octets: bytes) -> None:
    assert answer(front.place("proxied"), octets) == b""


@pytest.mark.parametrize("octets", [b"USER a\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc"], ids=["POP3", "TLS"])
def test_a_missing_header_is_closed_without_an_octet(front: FrontEnd, octets: bytes) -> None:
    assert answer(front.place("proxied"), octets) == b""


def test_f11_a_local_header_leaves_the_sockets_own_address(front: FrontEnd) -> None:
    said, client = served(front, header(b"", 0, LOCAL))
    assert said.startswith(b"+OK Poplar")
    assert client == "127.0.0.1"


@pytest.mark.parametrize(
    ("octets", "address"),
    [(LINE, "203.0.113.7"), (header(addresses("2001:db8::7", 50001, "::1"), INET6), "2001:db8::7")],
    ids=["v1", "v2"],
)
def test_the_clients_own_address_is_in_the_log(front: FrontEnd, octets: bytes, address: str) -> None:
    said, client = served(front, octets)
    assert b"\r\nUSER\r\n" not in said, "no login is offered in clear"
    assert client == address


def test_a_login_is_offered_where_the_header_tells_of_tls(front: FrontEnd) -> None:
    said, _ = served(front, checked(addresses("203.0.113.7", 50000) + tls()))
    assert b"\r\nUSER\r\n" in said


@pytest.mark.parametrize("octets", [LINE, checked(addresses("203.0.113.7", 50000))], ids=["v1", "v2"])
def test_f12_a_header_and_a_client_hello_in_one_segment_are_both_read(
    front: FrontEnd, demo: RunningDemo, octets: bytes
) -> None:
    async def talk() -> bytes:
        wire = await SegmentWire.to(front.place("proxied-tls").port)
        client = TlsWire(wire, trusting(demo), "localhost")
        await wire.send(octets + client.hello())
        await client.handshake()
        greeting = await client.line()
        wire.close()
        return greeting

    assert asyncio.run(talk()).startswith(b"+OK Poplar")


@pytest.mark.parametrize("octets", [b"USER a\r\n", b"CAPA\r\nQUIT\r\n" * 50], ids=["a command", "many"])
def test_f14_plain_text_on_the_tls_port_gets_an_alert_at_most(front: FrontEnd, octets: bytes) -> None:
    said = answer(front.place("tls"), octets)
    assert said == b"" or said[0] == 0x15


def test_f15_a_hello_that_stalls_is_closed_and_a_slow_one_is_served(front: FrontEnd, demo: RunningDemo) -> None:
    async def stalled() -> bytes:
        wire = await SegmentWire.to(front.place("tls").port)
        await wire.send(TlsWire(wire, trusting(demo), "localhost").hello()[:-1])
        return await wire.rest()

    async def slow() -> bytes:
        wire = await SegmentWire.to(front.place("tls").port)
        client = TlsWire(wire, trusting(demo), "localhost")
        await wire.dribble(client.hello())
        await client.handshake()
        greeting = await client.line()
        wire.close()
        return greeting

    assert asyncio.run(stalled()) == b""
    assert asyncio.run(slow()).startswith(b"+OK Poplar")


def test_x19_clients_behind_one_balancer_are_counted_by_their_own_addresses(demo: RunningDemo, tmp_path: Path) -> None:
    with (
        front_end(demo, tmp_path / "front", LISTENERS[:1], limits={"connections_per_address": 1}) as front,
        ExitStack() as stack,
    ):
        said = []
        for address in (b"203.0.113.7", b"203.0.113.8", b"203.0.113.7"):
            at = front.place("proxied")
            sock = stack.enter_context(closing(socket.create_connection((at.host, at.port), timeout=60)))
            sock.sendall(LINE.replace(b"203.0.113.7", address))
            said.append(sock.recv(5)[:4])
    assert said == [b"+OK ", b"+OK ", b"-ERR"]
