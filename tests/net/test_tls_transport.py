"""TLS from the first octet: what comes through whole, what ends a connection and how, and what is left of it.

RFC 8314 §3.1, §3.4; RFC 8446 §6.1 (close_notify) and §6.2 (alerts). On both event loops. G8, G12, G15.
"""

import asyncio
import socket
import ssl
from contextlib import suppress
from typing import Any

import pytest

from service.net import listener, tls_decrypting, tls_transport
from service.net.arrival import ListenerSpec, SetupSeconds
from service.net.listener import Rejection
from service.net.peer import TlsMode
from service.net.tls_opening import Opening
from service.net.tls_transport import SecuredTransport
from tests.net.conftest import Stage
from tests.net.front import until
from tests.net.parrot import Parrot
from tests.net.wire import TlsWire, Wire

pytestmark = pytest.mark.asyncio(loop_factories=["asyncio", "uvloop"])

IMPLICIT = ListenerSpec("pop3s", "127.0.0.1", 0, TlsMode.IMPLICIT)
LONG = 3 << 20


class Talker(Parrot):
    """Says much, reads when told to, and notes what it hears of the transport."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.calls: list[str] = []
        self.ends: list[Exception | None] = []

    def pause_writing(self) -> None:
        self.calls.append("pause")

    def resume_writing(self) -> None:
        self.calls.append("resume")

    def eof_received(self) -> None:
        self.calls.append("eof")

    def connection_lost(self, exc: Exception | None) -> None:
        self.ends.append(exc)
        super().connection_lost(exc)

    @property
    def transport(self) -> asyncio.Transport:
        assert self._transport is not None
        return self._transport


async def connected(stage: Stage, trusting: ssl.SSLContext, kind: type[Talker] = Talker) -> tuple[TlsWire, Talker]:
    stage.hatchery = kind
    client = TlsWire(await Wire.to(stage.start(IMPLICIT)), trusting, "pop.example")
    await client.handshake()
    assert (await client.line()).startswith(b"+OK 127.0.0.1")
    talker = stage.parrot
    assert isinstance(talker, Talker)
    return client, talker


async def until_lost(talker: Talker) -> None:
    await asyncio.wait_for(talker.wait_closed(), 20)


async def test_the_greeting_comes_after_the_handshake_and_the_peer_is_known_by_then(
    stage: Stage, trusting: ssl.SSLContext
) -> None:
    """RFC 8314 §3.1: the handshake begins immediately."""
    _, talker = await connected(stage, trusting)
    assert talker.peer.tls is not None
    assert (talker.peer.tls.server_name, talker.peer.private) == ("pop.example", True)
    assert talker.transport.get_extra_info("peername")[0] == "127.0.0.1"


async def test_g8_long_texts_come_through_whole_both_ways_and_pause_who_writes(
    stage: Stage, trusting: ssl.SSLContext
) -> None:
    client, talker = await connected(stage, trusting)
    long = bytes(range(32, 127)) * (LONG // 95)
    talker.transport.write(memoryview(long))
    talker.transport.write(b"\r\n")
    assert talker.calls == ["pause"]
    assert talker.transport.get_write_buffer_size() > LONG // 4
    assert await client.line() == long
    assert talker.calls == ["pause", "resume"]
    sending = asyncio.create_task(client.send(long + b"\r\n"))
    assert await client.line() == long
    await sending


async def test_g15_what_is_not_read_waits_in_the_kernel(stage: Stage, trusting: ssl.SSLContext) -> None:
    client, talker = await connected(stage, trusting)
    talker.transport.pause_reading()
    assert not talker.transport.is_reading()
    sending = asyncio.create_task(client.send(b"x" * (16 << 20) + b"\r\n"))
    await client.wire.send(b"")
    _, waiting = await asyncio.wait({sending}, timeout=0.1)
    assert waiting
    assert talker.lines == []
    talker.transport.resume_reading()
    assert len(await client.line()) == 16 << 20
    await sending


class Hesitant(Talker):
    """Pauses with each piece that comes, until the next round."""

    octets = 0

    def data_received(self, data: bytes) -> None:
        self.octets += len(data)
        self.transport.pause_reading()
        asyncio.get_running_loop().call_soon(self.transport.resume_reading)


async def test_g15_what_came_is_decrypted_before_more_is_read(
    stage: Stage, trusting: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tls_decrypting, "AT_ONCE_SECONDS", 0.0)
    came: list[int] = []
    take = tls_decrypting.Tls.take

    def noted(self: tls_decrypting.Tls, data: bytes) -> None:
        came.append(len(self._came))
        take(self, data)

    monkeypatch.setattr(tls_decrypting.Tls, "take", noted)
    client, talker = await connected(stage, trusting, Hesitant)
    await client.send(b"x" * LONG)
    assert isinstance(talker, Hesitant)
    await until(lambda: talker.octets == LONG)
    assert max(came) == 0


async def test_a_close_sends_all_that_was_written_and_close_notify(stage: Stage, trusting: ssl.SSLContext) -> None:
    """RFC 8314 §3.4."""
    client, talker = await connected(stage, trusting)
    talker.transport.write(b"y" * LONG + b"\r\n")
    talker.transport.close()
    talker.transport.write(b"never sent")
    assert await client.line() == b"y" * LONG
    assert await client.ended_with_close_notify()
    with suppress(ssl.SSLWantReadError):
        await client.send_and_leave(b"too late, and dropped\r\n")
    await until_lost(talker)
    assert (talker.ends, talker.lines, stage.admission.held) == ([None], [], 0)


async def test_the_last_word_leaves_with_close_notify(stage: Stage, trusting: ssl.SSLContext) -> None:
    """RFC 8446 §6.1."""
    client, talker = await connected(stage, trusting)
    assert isinstance(talker.transport, SecuredTransport)
    talker.transport.write_last(b"bye\r\n")
    talker.transport.close()
    talker.transport.write_last(b"never sent")
    await client._feed()
    assert client.tls.read() == b"bye\r\n"
    assert client.tls.read() == b""


async def test_a_close_waits_no_longer_for_the_client_than_it_may(
    stage: Stage, trusting: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listener, "SHUTDOWN_SECONDS", 0.05)
    client, talker = await connected(stage, trusting)
    talker.transport.close()
    await until_lost(talker)
    assert talker.ends == [None]
    assert await client.ended_with_close_notify()


async def test_a_close_cuts_nothing_off_from_a_client_that_reads_late(
    stage: Stage, trusting: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listener, "SHUTDOWN_SECONDS", 0.01)
    client, talker = await connected(stage, trusting)
    talker.transport.write(b"z" * (8 << 20) + b"\r\n")
    talker.transport.close()
    await asyncio.sleep(0.1)
    assert len(await client.line()) == 8 << 20
    assert await client.ended_with_close_notify()
    await until_lost(talker)


async def test_g15_a_long_write_leaves_little_in_openssl_s_memory(
    stage: Stage, trusting: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That memory never gets smaller again, so what it held most is what each session keeps until it ends."""
    held: list[int] = []
    send = tls_transport.SecuredTransport._send

    def noted(self: tls_transport.SecuredTransport) -> None:
        held.append(self._outgoing.pending)
        send(self)

    monkeypatch.setattr(tls_transport.SecuredTransport, "_send", noted)
    client, talker = await connected(stage, trusting)
    talker.transport.write(b"z" * (1 << 20) + b"\r\n")
    assert len(await client.line()) == 1 << 20
    assert max(held) < tls_transport.HELD_OCTETS + (32 << 10)


async def test_the_transport_in_clear_keeps_its_protocol(stage: Stage, trusting: ssl.SSLContext) -> None:
    """For another one uvloop stops and begins its reading."""
    _, talker = await connected(stage, trusting)
    assert isinstance(talker.transport, SecuredTransport)
    assert talker.transport._raw is not None
    assert isinstance(talker.transport._raw.get_protocol(), Opening)


async def test_what_a_client_says_before_it_leaves_is_answered(stage: Stage, trusting: ssl.SSLContext) -> None:
    client, talker = await connected(stage, trusting)
    await client.send_and_leave(b"hello\r\n")
    assert await client.line() == b"hello"
    assert await client.ended_with_close_notify()
    await until_lost(talker)
    assert (talker.lines, talker.calls, talker.ends) == ([b"hello"], ["eof"], [None])


async def test_a_client_that_ends_without_a_word_is_gone(stage: Stage, trusting: ssl.SSLContext) -> None:
    client, talker = await connected(stage, trusting)
    client.wire.close()
    await until_lost(talker)
    assert (talker.lost, stage.admission.held) == (1, 0)


FORGED = b"\x17\x03\x03\x00\x20" + bytes(32)
"""A record as of this session, which nobody encrypted with its keys."""


@pytest.mark.parametrize(
    ("said", "alert"),
    [(b"QUIT\r\n" * 10, "wrong.version.number|protocol.version|unexpected.message"), (FORGED, "bad.record.mac")],
    ids=["in clear", "forged"],
)
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_g12_what_is_no_tls_reaches_no_command_and_is_told_why_the_connection_ends(
    stage: Stage, trusting: ssl.SSLContext, version: ssl.TLSVersion, said: bytes, alert: str
) -> None:
    """RFC 8446 §6.2: a fatal alert, and nothing after it; what was written before it comes whole."""
    trusting.minimum_version = trusting.maximum_version = version
    client, talker = await connected(stage, trusting)
    talker.transport.write(b"y" * LONG + b"\r\n")
    await client.wire.send(said)
    assert await client.line() == b"y" * LONG
    with pytest.raises(ssl.SSLError, match=f"(?i){alert}"):
        await client.line()
    await until_lost(talker)
    assert (talker.lines, talker.lost) == ([], 1)
    assert isinstance(talker.ends[0], ssl.SSLError)


async def test_g6_who_breaks_tls_and_takes_nothing_is_gone_all_the_same(
    stage: Stage, trusting: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listener, "SHUTDOWN_SECONDS", 0.05)
    client, talker = await connected(stage, trusting)
    talker.transport.write(b"y" * (16 << 20))
    await client.wire.send(FORGED)
    await until_lost(talker)
    assert isinstance(talker.ends[0], ssl.SSLError)


async def test_g8_what_breaks_during_a_close_cuts_nothing_off(stage: Stage, trusting: ssl.SSLContext) -> None:
    client, talker = await connected(stage, trusting)
    transport = talker.transport
    assert isinstance(transport, SecuredTransport)
    transport.write(b"z" * (8 << 20) + b"\r\n")
    transport.close()
    await client.wire.send(FORGED)
    await until(lambda: transport._error is not None)
    transport.late()
    assert len(await client.line()) == 8 << 20
    await until_lost(talker)
    assert isinstance(talker.ends[0], ssl.SSLError)


async def test_g6_that_a_client_left_is_told_though_it_takes_nothing(stage: Stage, trusting: ssl.SSLContext) -> None:
    """It ended its side of the connection without close_notify, and what was written to it can't be sent."""
    client, talker = await connected(stage, trusting)
    talker.transport.write(b"y" * (16 << 20))
    client.wire.sock.shutdown(socket.SHUT_WR)
    await until(lambda: "eof" in talker.calls)
    assert talker.ends == []
    talker.transport.abort()
    await until_lost(talker)


async def test_a_handshake_that_fails_is_told_why_and_makes_no_session(stage: Stage) -> None:
    stage.hatchery = Talker
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_ciphers("AES128-SHA256")
    client = TlsWire(await Wire.to(stage.start(IMPLICIT)), context, "pop.example")
    with pytest.raises(ssl.SSLError, match="handshake failure"):
        await client.handshake()
    await stage.rejected.wait()
    await stage.listener.wait_closed()
    assert [why for why, _, _ in stage.rejections] == [Rejection.HANDSHAKE]
    assert (stage.parrot.lost, stage.admission.held) == (0, 0)


@pytest.mark.parametrize("first", [b"", b"\x16\x03\x01", b"USER alice\r\n"])
async def test_who_never_comes_to_the_end_of_a_handshake_makes_no_session(stage: Stage, first: bytes) -> None:
    stage.seconds = SetupSeconds(handshake=0.05)
    wire = await Wire.to(stage.start(IMPLICIT))
    if first:
        await wire.send(first)
    await wire.rest()
    await stage.rejected.wait()
    await stage.listener.wait_closed()
    assert (stage.parrot.lost, stage.parrot.lines, stage.admission.held) == (0, [], 0)


async def test_a_client_that_leaves_in_the_handshake_makes_no_session(stage: Stage, trusting: ssl.SSLContext) -> None:
    wire = await Wire.to(stage.start(IMPLICIT))
    await wire.send(TlsWire(wire, trusting, "pop.example").hello())
    wire.close()
    await stage.rejected.wait()
    await stage.listener.wait_closed()
    assert (stage.parrot.lost, stage.admission.held) == (0, 0)


async def test_a_listener_that_ends_gives_handshakes_up(stage: Stage) -> None:
    wire = await Wire.to(stage.start(IMPLICIT))
    await stage.hatched.wait()
    stage.listener.end()
    assert await wire.rest() == b""
    await stage.listener.wait_closed()
    assert (stage.parrot.lost, stage.admission.held) == (0, 0)


async def test_a_connection_that_is_shed_before_the_handshake_is_told_after_it(
    stage: Stage, trusting: ssl.SSLContext
) -> None:
    wire = await Wire.to(stage.start(IMPLICIT))
    await stage.hatched.wait()
    stage.parrot.shed()
    client = TlsWire(wire, trusting, "pop.example")
    await client.handshake()
    assert await client.line() == b"-ERR shed"
    assert await client.ended_with_close_notify()
    wire.close()
    await asyncio.wait_for(stage.parrot.wait_closed(), 20)
