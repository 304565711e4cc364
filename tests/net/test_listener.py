"""Accepting, the PROXY header on the socket, and TLS from the first octet: bad inputs F02 to F15, RFC 8314 §3.1."""

import asyncio
import errno
import os
import resource
import socket
import ssl
from contextlib import suppress
from ipaddress import ip_network
from pathlib import Path

import pytest

from service.net.admission import Admission
from service.net.arrival import FIRST_OCTETS, ListenerSpec, SetupSeconds
from service.net.listener import Listener, Reception, Rejection
from service.net.peer import Peer, TlsMode
from tests.net.conftest import Stage
from tests.net.parrot import Parrot
from tests.net.wire import TlsWire, Wire, cuts
from tests.protocol.proxy_headers import INET6, LOCAL, UNIX, addresses, checked, header, tls, tlv
from tests.protocol.test_proxy import BAD

pytestmark = pytest.mark.asyncio(loop_factories=["asyncio", "uvloop"])

LOOPBACK = (ip_network("127.0.0.0/8"), ip_network("::1/128"))
PLAIN = ListenerSpec("pop3", "127.0.0.1", 0)
IMPLICIT = ListenerSpec("pop3s", "127.0.0.1", 0, TlsMode.IMPLICIT)
PROXIED = ListenerSpec("pop3", "127.0.0.1", 0, proxy_protocol=True, trusted=LOOPBACK)
PROXIED_IMPLICIT = ListenerSpec("pop3s", "127.0.0.1", 0, TlsMode.IMPLICIT, proxy_protocol=True, trusted=LOOPBACK)
LINE = b"PROXY TCP4 203.0.113.7 192.0.2.9 50000 995\r\n"
BINARY = header(addresses("2001:db8::7", 50001, "::1"), INET6)


async def test_a_client_is_greeted_and_heard(stage: Stage) -> None:
    wire = await Wire.to(stage.start(PLAIN))
    assert await wire.line() == "+OK {} {}".format(*wire.name).encode()
    await wire.send(b"hello\r\n")
    assert await wire.line() == b"hello"
    assert (stage.parrot.peer.private, stage.parrot.peer.tls) == (False, None)


async def test_a_client_over_ipv6_is_known_by_its_address(stage: Stage) -> None:
    wire = await Wire.to(stage.start(ListenerSpec("pop3", "::1", 0)), "::1")
    assert (await wire.line()).startswith(b"+OK ::1 ")


async def test_an_ipv4_client_of_a_socket_for_both_is_known_by_its_ipv4_address(stage: Stage) -> None:
    wire = await Wire.to(stage.start(ListenerSpec("pop3", "*", 0)))
    assert (await wire.line()).startswith(b"+OK 127.0.0.1 ")


@pytest.mark.parametrize(("octets", "address"), [(LINE, b"203.0.113.7 50000"), (BINARY, b"2001:db8::7 50001")])
async def test_the_header_tells_the_clients_address(stage: Stage, octets: bytes, address: bytes) -> None:
    wire = await Wire.to(stage.start(PROXIED))
    await wire.send(octets)
    assert await wire.line() == b"+OK " + address


@pytest.mark.parametrize(
    "octets", [LINE, BINARY, checked(addresses("203.0.113.7", 1) + tls())], ids=["v1", "v2", "crc"]
)
async def test_a_header_cut_at_every_octet_is_read_and_what_follows_is_kept(stage: Stage, octets: bytes) -> None:
    port = stage.start(PROXIED)
    for first, second in cuts(octets):
        wire = await Wire.to(port)
        await wire.send(first)
        await asyncio.sleep(0)
        await wire.send(second + b"hello\r\n")
        assert (await wire.line()).startswith(b"+OK 20")
        assert await wire.line() == b"hello"
        wire.close()


@pytest.mark.parametrize("octets", [LINE, BINARY], ids=["v1", "v2"])
async def test_more_than_is_read_with_a_header_is_heard_in_order(stage: Stage, octets: bytes) -> None:
    lines = [b"%05d" % number for number in range(FIRST_OCTETS)]
    wire = await Wire.to(stage.start(PROXIED))
    await wire.send(octets + b"".join(line + b"\r\n" for line in lines))
    assert (await wire.line()).startswith(b"+OK 20")
    assert [await wire.line() for _ in lines] == lines


async def test_who_is_turned_away_hears_only_that_whatever_came_with_its_header(stage: Stage) -> None:
    stage.admission = Admission(1)
    port = stage.start(PROXIED)
    first = await Wire.to(port)
    await first.send(LINE + b"AUTH\r\n")
    assert await first.line() == b"+OK 203.0.113.7 50000"
    assert await first.line() == b"+OK"
    second = await Wire.to(port)
    await second.send(LINE + b"hello\r\n")
    assert await second.rest() == b"-ERR shed\r\n"
    await stage.parrots[1].wait_closed()
    assert stage.admission.leaving == 0


@pytest.mark.parametrize(
    "octets", [header(b"", 0, LOCAL), header(b"\0" * 216, UNIX), b"PROXY UNKNOWN\r\n"], ids=["LOCAL", "UNIX", "UNKNOWN"]
)
async def test_a_header_without_an_address_leaves_the_sockets_own(stage: Stage, octets: bytes) -> None:
    """F11."""
    wire = await Wire.to(stage.start(PROXIED))
    await wire.send(octets)
    assert await wire.line() == "+OK {} {}".format(*wire.name).encode()


@pytest.mark.parametrize("octets", BAD.values(), ids=BAD)
async def test_a_malformed_header_is_closed_without_an_octet(stage: Stage, octets: bytes) -> None:
    """F03 to F09."""
    wire = await Wire.to(stage.start(PROXIED))
    await wire.send(octets)
    assert await wire.rest() == b""
    assert [why for why, _, _ in stage.rejections] == [Rejection.PROXY_HEADER]


@pytest.mark.parametrize("octets", [b"USER a@example.com\r\n", b"\x16\x03\x01\x02\x00\x01", b""])
async def test_a_missing_header_is_closed_without_an_octet(stage: Stage, octets: bytes) -> None:
    wire = await Wire.to(stage.start(PROXIED))
    await wire.send(octets)
    wire.sock.shutdown(socket.SHUT_WR)
    assert await wire.rest() == b""
    assert stage.parrots == []


@pytest.mark.parametrize("octets", [LINE, BINARY])
async def test_a_header_from_an_untrusted_peer_is_closed_without_an_octet(stage: Stage, octets: bytes) -> None:
    """F02."""
    elsewhere = (ip_network("192.0.2.0/24"), ip_network("127.0.0.2/32"))
    port = stage.start(ListenerSpec("pop3", "127.0.0.1", 0, proxy_protocol=True, trusted=elsewhere))
    wire = await Wire.to(port)
    with suppress(ConnectionError):
        await wire.send(octets)
    assert await wire.rest() == b""
    assert (stage.rejections[0][:2], stage.parrots) == ((Rejection.UNTRUSTED, "127.0.0.1"), [])


async def test_an_ipv4_peer_of_a_socket_for_both_is_trusted_by_its_ipv4_network(stage: Stage) -> None:
    port = stage.start(ListenerSpec("pop3", "*", 0, proxy_protocol=True, trusted=(ip_network("127.0.0.0/8"),)))
    wire = await Wire.to(port)
    await wire.send(LINE)
    assert await wire.line() == b"+OK 203.0.113.7 50000"


@pytest.mark.parametrize("start", [b"", b"PROXY TCP4 1.", BINARY[:20]])
async def test_a_header_that_never_ends_is_closed_without_an_octet(stage: Stage, start: bytes) -> None:
    stage.seconds = SetupSeconds(proxy=0.05)
    wire = await Wire.to(stage.start(PROXIED))
    await wire.send(start)
    assert await wire.rest() == b""
    assert stage.admission.held == 0


@pytest.mark.parametrize("octets", [LINE, BINARY, checked(addresses("203.0.113.7", 50000))], ids=["v1", "v2", "crc"])
async def test_a_client_hello_in_the_headers_segment_is_not_lost(
    stage: Stage, trusting: ssl.SSLContext, octets: bytes
) -> None:
    """F12: cpython#142352, uvloop#707."""
    wire = await Wire.to(stage.start(PROXIED_IMPLICIT))
    client = TlsWire(wire, trusting, "pop.example")
    await wire.send(octets + client.hello())
    await client.handshake()
    assert (await client.line()).startswith(b"+OK 20")
    assert stage.parrot.peer.private


async def test_a_header_and_a_client_hello_octet_by_octet_are_read(stage: Stage, trusting: ssl.SSLContext) -> None:
    """F15: slow but whole."""
    wire = await Wire.to(stage.start(PROXIED_IMPLICIT))
    client = TlsWire(wire, trusting, "pop.example")
    await wire.dribble(LINE + client.hello())
    await client.handshake()
    assert await client.line() == b"+OK 203.0.113.7 50000"


async def test_on_the_tls_port_the_greeting_comes_after_the_handshake(stage: Stage, trusting: ssl.SSLContext) -> None:
    """RFC 8314 §3.1."""
    wire = await Wire.to(stage.start(IMPLICIT))
    client = TlsWire(wire, trusting, "pop.example")
    await client.handshake()
    assert (await client.line()).startswith(b"+OK 127.0.0.1")
    facts = stage.parrot.peer.tls
    assert facts is not None
    assert (facts.version, facts.server_name) == ("TLSv1.3", "pop.example")
    assert facts.cipher.startswith("TLS_")
    assert (stage.parrot.peer.private, stage.parrot.peer.may_start_tls) == (True, False)


@pytest.mark.parametrize("octets", [b"USER a\r\n", b"GET / HTTP/1.1\r\n\r\n", b"\x00" * 64])
async def test_plain_text_on_the_tls_port_gets_no_greeting(stage: Stage, octets: bytes) -> None:
    """F14: a TLS alert is allowed."""
    wire = await Wire.to(stage.start(IMPLICIT))
    await wire.send(octets)
    answer = await wire.rest()
    assert answer == b"" or answer[0] == 0x15
    await stage.rejected.wait()
    await stage.listener.wait_closed()
    assert [why for why, _, _ in stage.rejections] == [Rejection.HANDSHAKE]
    assert stage.admission.held == 0


async def test_a_stalled_client_hello_is_closed(stage: Stage, trusting: ssl.SSLContext) -> None:
    """F15."""
    stage.seconds = SetupSeconds(handshake=0.05)
    wire = await Wire.to(stage.start(IMPLICIT))
    client = TlsWire(wire, trusting, "pop.example")
    await wire.send(client.hello()[:-1])
    assert await wire.rest() == b""
    await stage.rejected.wait()
    await stage.listener.wait_closed()
    assert [why for why, _, _ in stage.rejections] == [Rejection.HANDSHAKE]


async def test_closing_says_close_notify(stage: Stage, trusting: ssl.SSLContext) -> None:
    """RFC 8314 §3.4."""
    client = TlsWire(await Wire.to(stage.start(IMPLICIT)), trusting, "pop.example")
    await client.handshake()
    await client.send(b"QUIT\r\n")
    assert await client.ended_with_close_notify()


@pytest.mark.parametrize(
    ("mode", "tlvs", "private", "may_start_tls"),
    [
        (TlsMode.NONE, b"", False, False),
        (TlsMode.NONE, tls(), True, False),
        (TlsMode.NONE, tls(b"TLSv1.1"), False, False),
        (TlsMode.STARTTLS, b"", False, True),
        (TlsMode.STARTTLS, tls(), True, False),
        (TlsMode.STARTTLS, tls(client=0), False, True),
        (TlsMode.TERMINATED, b"", True, False),
        (TlsMode.TERMINATED, tls(client=0), False, False),
        (TlsMode.TERMINATED, tls(b"TLSv1"), False, False),
    ],
)
async def test_a_way_is_private_when_tls_ended_in_front(
    stage: Stage, mode: TlsMode, tlvs: bytes, private: bool, may_start_tls: bool
) -> None:
    """G12: clear text and TLS older than 1.2 stay so, whatever the settings say."""
    wire = await Wire.to(stage.start(ListenerSpec("x", "127.0.0.1", 0, mode, proxy_protocol=True, trusted=LOOPBACK)))
    await wire.send(checked(addresses("203.0.113.7", 50000) + tlvs))
    await wire.line()
    assert (stage.parrot.peer.private, stage.parrot.peer.may_start_tls) == (private, may_start_tls)


async def test_the_header_tells_version_cipher_and_name_of_the_tls_in_front(stage: Stage) -> None:
    wire = await Wire.to(stage.start(PROXIED))
    said = tlv(2, b"pop.example") + tls(more=tlv(0x23, b"TLS_AES_128_GCM_SHA256"))
    await wire.send(checked(addresses("203.0.113.7", 50000) + said))
    await wire.line()
    facts = stage.parrot.peer.tls
    assert facts is not None
    assert (facts.version, facts.cipher, facts.server_name) == ("TLSv1.3", "TLS_AES_128_GCM_SHA256", "pop.example")


async def test_a_terminated_listener_is_private_without_a_header(stage: Stage) -> None:
    wire = await Wire.to(stage.start(ListenerSpec("x", "127.0.0.1", 0, TlsMode.TERMINATED)))
    await wire.line()
    assert stage.parrot.peer.private


async def test_a_listener_for_tls_needs_a_certificate() -> None:
    for mode in (TlsMode.IMPLICIT, TlsMode.STARTTLS):
        with pytest.raises(ValueError, match="certificate"):
            Listener(ListenerSpec("x", "127.0.0.1", 0, mode), Reception(Parrot, Admission(1)))


async def test_a_factory_that_fails_does_not_end_the_accepting(stage: Stage) -> None:
    reported: list[dict[str, object]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: reported.append(context))

    def factory(peer: Peer) -> Parrot:
        if not reported:
            raise RuntimeError("once")
        return Parrot(peer)

    stage.listener = Listener(PLAIN, Reception(factory, stage.admission))
    port = stage.listener.start()
    first = await Wire.to(port)
    assert await first.rest() == b""
    second = await Wire.to(port)
    assert (await second.line()).startswith(b"+OK")
    assert (str(reported[0]["exception"]), stage.admission.held) == ("once", 1)


async def test_a_factory_that_fails_in_a_drain_leaves_no_door_open_and_drains_the_next(stage: Stage) -> None:
    reported: list[dict[str, object]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: reported.append(context))
    drained: list[Parrot] = []

    class Drained(Parrot):
        def drain(self) -> None:
            drained.append(self)
            super().drain()

    def factory(peer: Peer) -> Parrot:
        if not reported:
            raise RuntimeError("once")
        return Drained(peer)

    stage.listener = Listener(PLAIN, Reception(factory, stage.admission))
    port = stage.listener.start()
    # Both are queued by the kernel when the door closes: no round of the event loop has passed.
    queued = [socket.create_connection(("127.0.0.1", port)) for _ in range(2)]
    stage.listener.drain()
    assert (len(reported), bool(drained)) == (1, True)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))
    assert queued[0].recv(1) == b""
    assert stage.admission.held == 1
    for sock in queued:
        sock.close()
    await stage.listener.wait_closed()


async def test_a_client_that_resets_at_once_leaves_no_trace(stage: Stage) -> None:
    port = stage.start(IMPLICIT)
    for _ in range(5):
        (await Wire.to(port)).reset()
    last = await Wire.to(port)
    last.sock.shutdown(socket.SHUT_WR)
    assert await last.rest() == b""
    await stage.listener.wait_closed()
    assert (stage.admission.held, len(stage.listener.connections)) == (0, 0)


class Counted(Parrot):
    """Counts how many hear of a transport and of its end."""

    made, lost_ones = 0, 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        type(self).made += 1
        super().connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        type(self).lost_ones += 1
        super().connection_lost(exc)


@pytest.mark.parametrize("rounds", [None, 0, 1], ids=["before its transport", "as it hears of it", "right after"])
async def test_a_set_up_that_is_ended_around_its_transport_leaves_nothing(rounds: int | None) -> None:
    admission = Admission(9)

    class Ended(Counted):
        def __init__(self, peer: Peer) -> None:
            super().__init__(peer)
            if rounds is None:
                asyncio.get_running_loop().call_soon(listener.end)

        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            super().connection_made(transport)
            if rounds == 0:
                listener.end()
            elif rounds == 1:
                # Runs before whoever waits for the transport hears that there is one.
                asyncio.get_running_loop().call_soon(listener.end)

    listener = Listener(PLAIN, Reception(Ended, admission))
    wire = await Wire.to(listener.start())
    with suppress(ConnectionResetError):
        await wire.rest()
    async with asyncio.timeout(10):
        await listener.wait_closed()
    assert (admission.held, admission.leaving, len(listener.connections)) == (0, 0, 0)
    assert (Ended.made, Ended.lost_ones) == (1, 1)


async def test_those_that_make_room_in_the_round_they_came_in_are_told_so_and_end() -> None:
    class Many(Counted):
        pass

    admission = Admission(1)
    listener = Listener(PLAIN, Reception(Many, admission))
    port = listener.start()
    # All are queued by the kernel: no round of the event loop has passed.
    clients = [socket.create_connection(("127.0.0.1", port)) for _ in range(4)]
    for client in clients:
        client.setblocking(False)
    said = [await Wire(client).rest() for client in clients[:3]]
    assert all(word.startswith(b"-ERR") for word in said), said
    assert (await Wire(clients[3]).line()).startswith(b"+OK")
    listener.end()
    await listener.wait_closed()
    assert (Many.made, Many.lost_ones, admission.held) == (4, 4, 0)


def highest_descriptor() -> int:
    return max(int(entry.name) for entry in Path("/proc/self/fd").iterdir())


async def test_without_descriptors_accepting_pauses_and_goes_on(stage: Stage) -> None:
    port = stage.start(PLAIN)
    clients = [socket.socket() for _ in range(3)]
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    highest = highest_descriptor()
    fillers: list[int] = []
    resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 8, hard))
    try:
        with suppress(OSError):
            fillers.extend(iter(lambda: os.dup(0), None))
        for client in clients:
            client.connect(("127.0.0.1", port))
        await stage.rejected.wait()
        assert stage.rejections[0][0] is Rejection.EXHAUSTED
        assert os.strerror(errno.EMFILE) in stage.rejections[0][2]
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for filler in fillers:
            os.close(filler)
    for client in clients:
        client.setblocking(False)
        assert (await Wire(client).line()).startswith(b"+OK")
    assert len(stage.rejections) < 10


async def test_two_processes_may_share_a_port(stage: Stage) -> None:
    spec = ListenerSpec("pop3", "127.0.0.1", 0, reuse_port=True)
    port = stage.start(spec)
    other = Listener(ListenerSpec("pop3", "127.0.0.1", port, reuse_port=True), Reception(Parrot, Admission(9)))
    assert other.start() == port
    other.end()
    await other.wait_closed()


async def test_a_port_in_use_is_an_error(stage: Stage) -> None:
    port = stage.start(PLAIN)
    other = Listener(ListenerSpec("pop3", "127.0.0.1", port), Reception(Parrot, Admission(9)))
    with pytest.raises(OSError, match="in use"):
        other.start()
