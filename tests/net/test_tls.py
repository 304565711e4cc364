"""Stepping up to TLS, injection before it, versions and ALPN.

RFC 2595 §4, RFC 8314 §3.4, RFC 8997 §3, RFC 7301 §3.2.
"""

import ssl
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import trustme

from service.net.arrival import ListenerSpec
from service.net.listener import Rejection
from service.net.peer import TlsMode
from service.net.tls import tls_facts
from tests.net.conftest import Stage, write_pair
from tests.net.parrot import Parrot
from tests.net.wire import TlsWire, Wire

pytestmark = pytest.mark.asyncio(loop_factories=["asyncio", "uvloop"])

STARTTLS = ListenerSpec("pop3", "127.0.0.1", 0, TlsMode.STARTTLS)
IMPLICIT = ListenerSpec("pop3s", "127.0.0.1", 0, TlsMode.IMPLICIT)


async def greeted(stage: Stage) -> Wire:
    wire = await Wire.to(stage.start(STARTTLS))
    await wire.line()
    assert stage.parrot.peer.may_start_tls
    return wire


async def stepped_up(wire: Wire, trusting: ssl.SSLContext) -> TlsWire:
    assert await wire.line() == b"+OK"
    client = TlsWire(wire, trusting, "pop.example")
    await client.handshake()
    return client


async def test_after_stls_commands_go_on_encrypted(stage: Stage, trusting: ssl.SSLContext) -> None:
    """RFC 2595 §4."""
    wire = await greeted(stage)
    await wire.send(b"STLS\r\n")
    client = await stepped_up(wire, trusting)
    await client.send(b"hello\r\n")
    assert await client.line() == b"hello"
    peer = stage.parrot.peer
    assert (peer.private, peer.may_start_tls) == (True, False)
    assert peer.tls is not None
    assert (peer.tls.version, peer.tls.server_name) == ("TLSv1.3", "pop.example")


async def test_what_came_in_the_packet_of_stls_is_never_run(stage: Stage, trusting: ssl.SSLContext) -> None:
    """G12: whole commands and half a line."""
    wire = await greeted(stage)
    await wire.send(b"STLS\r\nEVIL\r\nhalf a li")
    client = await stepped_up(wire, trusting)
    await client.send(b"ne\r\n")
    assert await client.line() == b"ne"
    assert stage.parrot.lines == [b"STLS", b"ne"]


async def test_what_came_in_a_packet_after_stls_is_never_run(stage: Stage) -> None:
    wire = await greeted(stage)
    await wire.send(b"STLS\r\n")
    await stage.parrot.heard.wait()
    await wire.send(b"EVIL\r\n")
    answer = await wire.rest()
    assert answer.startswith(b"+OK\r\n")
    assert b"EVIL" not in answer
    assert stage.parrot.lines == [b"STLS"]


async def test_what_came_between_the_answer_and_the_hello_is_never_run(stage: Stage, trusting: ssl.SSLContext) -> None:
    wire = await greeted(stage)
    await wire.send(b"STLS\r\n")
    assert await wire.line() == b"+OK"
    client = TlsWire(wire, trusting, "pop.example")
    with suppress(ConnectionError):
        await wire.send(b"EVIL\r\n" + client.hello())
    assert b"EVIL" not in await wire.rest()
    assert stage.parrot.lines == [b"STLS"]


async def test_a_client_hello_may_be_there_before_the_answer(stage: Stage, trusting: ssl.SSLContext) -> None:
    """A hasty client's hello waits in the kernel while reading is paused."""
    wire = await greeted(stage)
    client = TlsWire(wire, trusting, "pop.example")
    await wire.send(b"STLS\r\n")
    await stage.parrot.heard.wait()
    await wire.send(client.hello())
    assert await wire.line() == b"+OK"
    await client.handshake()
    await client.send(b"hello\r\n")
    assert await client.line() == b"hello"


async def test_a_hello_octet_by_octet_is_answered(stage: Stage, trusting: ssl.SSLContext) -> None:
    wire = await greeted(stage)
    await wire.send(b"STLS\r\n")
    assert await wire.line() == b"+OK"
    client = TlsWire(wire, trusting, "pop.example")
    await wire.dribble(client.hello())
    await client.handshake()


async def test_commands_in_the_packet_that_ends_the_handshake_are_answered_encrypted(
    stage: Stage, trusting: ssl.SSLContext
) -> None:
    """They arrive before the server's own task knows that the handshake is over."""
    wire = await greeted(stage)
    await wire.send(b"STLS\r\n")
    assert await wire.line() == b"+OK"
    client = TlsWire(wire, trusting, "pop.example")
    await client.handshake(b"one\r\ntwo\r\nQUIT\r\n")
    assert [await client.line() for _ in range(3)] == [b"one", b"two", b"+OK bye"]
    assert await client.ended_with_close_notify()
    wire.close()
    await stage.parrot.wait_closed()
    assert stage.parrot.lost == 1


async def test_a_client_that_resets_right_after_the_handshake_is_gone(stage: Stage, trusting: ssl.SSLContext) -> None:
    wire = await greeted(stage)
    await wire.send(b"STLS\r\n")
    assert await wire.line() == b"+OK"
    client = TlsWire(wire, trusting, "pop.example")
    await client.handshake(b"one\r\n")
    wire.reset()
    await stage.parrot.wait_closed()
    assert (stage.admission.held, stage.parrot.lost) == (0, 1)


async def test_closing_after_stls_says_close_notify(stage: Stage, trusting: ssl.SSLContext) -> None:
    """RFC 8314 §3.4."""
    wire = await greeted(stage)
    await wire.send(b"STLS\r\n")
    client = await stepped_up(wire, trusting)
    await client.send(b"QUIT\r\n")
    assert await client.line() == b"+OK bye"
    assert await client.ended_with_close_notify()


async def test_a_connection_whose_handshake_fails_is_gone(stage: Stage) -> None:
    wire = await greeted(stage)
    await wire.send(b"STLS\r\n")
    await stage.parrot.heard.wait()
    await wire.send(b"USER a@pop.example\r\n")
    await wire.rest()
    await stage.parrot.wait_closed()
    assert (stage.admission.held, stage.parrot.lost) == (0, 1)


async def test_a_client_that_leaves_in_the_handshake_is_gone(stage: Stage) -> None:
    wire = await greeted(stage)
    await wire.send(b"STLS\r\n")
    assert await wire.line() == b"+OK"
    wire.reset()
    await stage.parrot.wait_closed()
    assert (stage.admission.held, stage.parrot.lost) == (0, 1)


async def test_a_connection_ended_in_the_handshake_is_gone(stage: Stage) -> None:
    wire = await greeted(stage)
    await wire.send(b"STLS\r\n")
    assert await wire.line() == b"+OK"
    stage.parrot.end()
    assert await wire.rest() == b""
    await stage.parrot.wait_closed()
    assert (stage.admission.held, stage.parrot.lost) == (0, 1)


async def test_a_connection_whose_handshake_is_cancelled_is_gone(stage: Stage) -> None:
    wire = await greeted(stage)
    await wire.send(b"STLS\r\n")
    assert await wire.line() == b"+OK"
    assert stage.parrot._step is not None
    stage.parrot._step.cancel()
    assert await wire.rest() == b""
    await stage.parrot.wait_closed()
    assert (stage.admission.held, stage.parrot.lost) == (0, 1)


async def test_a_handshake_that_stalls_is_given_up(stage: Stage) -> None:
    stage.handshake_seconds = 0.05
    wire = await greeted(stage)
    await wire.send(b"STLS\r\n")
    assert await wire.line() == b"+OK"
    assert await wire.rest() == b""
    await stage.parrot.wait_closed()
    assert (stage.admission.held, stage.parrot.lost) == (0, 1)


class Flood(Parrot):
    """Says more than a socket takes as soon as it has the encrypted transport."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.calls: list[str] = []

    def pause_writing(self) -> None:
        self.calls.append("pause")

    def resume_writing(self) -> None:
        self.calls.append("resume")

    def _learn(self) -> None:
        super()._learn()
        if self.peer.tls and self._transport:
            for _ in range(4):
                self._transport.write(b"x" * (2 << 20))
            self._transport.write(b"\r\n")


async def test_a_client_that_does_not_read_after_stls_pauses_the_writing(
    stage: Stage, trusting: ssl.SSLContext
) -> None:
    stage.hatchery = Flood
    wire = await greeted(stage)
    await wire.send(b"STLS\r\n")
    client = await stepped_up(wire, trusting)
    assert len(await client.line()) == 8 << 20
    await client.send(b"hello\r\n")
    assert await client.line() == b"hello"
    assert isinstance(stage.parrot, Flood)
    assert stage.parrot.calls[:2] == ["pause", "resume"]


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
async def test_tls_older_than_1_2_is_refused(stage: Stage, trusting: ssl.SSLContext, version: ssl.TLSVersion) -> None:
    """RFC 8997 §3."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        trusting.minimum_version = trusting.maximum_version = version
    trusting.set_ciphers("ALL:@SECLEVEL=0")
    client = TlsWire(await Wire.to(stage.start(IMPLICIT)), trusting, "pop.example")
    with pytest.raises((ssl.SSLError, EOFError)):
        await client.handshake()
    await stage.rejected.wait()


async def test_tls_1_2_is_served(stage: Stage, trusting: ssl.SSLContext) -> None:
    trusting.maximum_version = ssl.TLSVersion.TLSv1_2
    client = TlsWire(await Wire.to(stage.start(IMPLICIT)), trusting, "pop.example")
    await client.handshake()
    await client.line()
    assert stage.parrot.peer.tls is not None
    assert stage.parrot.peer.tls.version == "TLSv1.2"
    assert "GCM" in stage.parrot.peer.tls.cipher


@pytest.mark.parametrize("ciphers", ["AES128-SHA", "AES256-GCM-SHA384", "ECDHE+SHA1", "DHE", "aNULL"])
async def test_weak_ciphers_are_refused(
    stage: Stage, ca: trustme.CA, pairs: Path, trusting: ssl.SSLContext, ciphers: str
) -> None:
    """RFC 2595 §9: no SHA-1, nothing without forward secrecy or without a certificate, though its kind would do."""
    write_pair(pairs, "default", ca, "pop.example", key_type=trustme.KeyType.RSA)
    await stage.certificates.reload()
    trusting.maximum_version = ssl.TLSVersion.TLSv1_2
    trusting.set_ciphers(f"{ciphers}:@SECLEVEL=0")
    client = TlsWire(await Wire.to(stage.start(IMPLICIT)), trusting, "pop.example")
    with pytest.raises((ssl.SSLError, EOFError)):
        await client.handshake()
    await stage.rejected.wait()
    assert [why for why, _, _ in stage.rejections] == [Rejection.HANDSHAKE]


@pytest.mark.parametrize(
    ("offered", "chosen"), [(["pop3"], "pop3"), (["h2", "pop3"], "pop3"), ([], None), (["http/1.1"], None)]
)
async def test_alpn_chooses_pop3_where_it_is_offered(
    stage: Stage, trusting: ssl.SSLContext, offered: list[str], chosen: str | None
) -> None:
    """RFC 7301 §3.2, with the deviation."""
    if offered:
        trusting.set_alpn_protocols(offered)
    client = TlsWire(await Wire.to(stage.start(IMPLICIT)), trusting, "pop.example")
    await client.handshake()
    assert client.tls.selected_alpn_protocol() == chosen


async def test_a_transport_in_clear_has_no_tls_facts(stage: Stage) -> None:
    await greeted(stage)
    assert stage.parrot._transport is not None
    assert tls_facts(stage.parrot._transport) is None
