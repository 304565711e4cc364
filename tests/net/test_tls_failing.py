"""Handshakes that fail, of clients that take nothing: how long their connections are kept, and that they count.

RFC 2595 §4 (STLS), RFC 3207 §4 (STARTTLS), RFC 8314 §3.1. G15. On both event loops.
"""

import asyncio
import gc
import socket
import ssl
from collections.abc import Callable, Iterator

import pytest

from service.net import tls, tls_opening
from service.net.arrival import ListenerSpec
from service.net.deadline import Deadline
from service.net.peer import TlsMode
from service.net.tls_decrypting import Tls
from service.net.tls_opening import Opening
from service.net.tls_transport import SecuredTransport
from tests.net.conftest import Stage
from tests.net.front import until
from tests.net.parrot import Parrot
from tests.net.test_tls import greeted
from tests.net.wire import TlsWire, Wire

pytestmark = pytest.mark.asyncio(loop_factories=["asyncio", "uvloop"])

MUCH = b"y" * (16 << 20) + b"\r\n"
"""More than the kernel holds for a client that reads nothing."""


def speak_no_tls(wire: Wire) -> None:
    wire.sock.send(b"this is no hello\r\n")


def leave(wire: Wire) -> None:
    wire.sock.shutdown(socket.SHUT_WR)


WAYS = pytest.mark.parametrize("fail", [speak_no_tls, leave])


async def stepping_up(stage: Stage) -> tuple[Wire, asyncio.Transport]:
    """A client that asked for TLS and has taken none of what was said to it before, and the transport to it."""
    wire = await greeted(stage)
    transport = stage.parrot._transport
    assert transport is not None
    transport.write(MUCH)
    await wire.send(b"STLS\r\n")
    await stage.parrot.heard.wait()
    return wire, transport


@WAYS
async def test_g15_one_that_failed_takes_its_place_until_its_transport_is_closed(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, fail: Callable[[Wire], None]
) -> None:
    monkeypatch.setattr(tls, "SHUTDOWN_SECONDS", 60.0)
    wire, transport = await stepping_up(stage)
    fail(wire)
    await until(transport.is_closing)
    for _ in range(5):
        await asyncio.sleep(0)
    assert (stage.admission.held, stage.parrot.lost) == (1, 0)
    # What was said before is not cut off.
    assert (await wire.rest()).startswith(MUCH + b"+OK\r\n")
    await asyncio.wait_for(stage.parrot.wait_closed(), 20)
    assert (stage.admission.held, stage.parrot.lost) == (0, 1)


@WAYS
async def test_g15_one_that_failed_and_takes_nothing_is_closed_in_time(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, fail: Callable[[Wire], None]
) -> None:
    monkeypatch.setattr(tls, "SHUTDOWN_SECONDS", 0.05)
    wire, transport = await stepping_up(stage)
    fail(wire)
    near = transport.get_extra_info("socket")
    await until(lambda: near.fileno() < 0)
    await asyncio.wait_for(stage.parrot.wait_closed(), 20)
    assert (stage.admission.held, stage.parrot.lost) == (0, 1)
    wire.close()


async def test_g15_one_that_failed_is_closed_when_the_listener_ends(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tls, "SHUTDOWN_SECONDS", 60.0)
    wire, transport = await stepping_up(stage)
    speak_no_tls(wire)
    await until(transport.is_closing)
    near = transport.get_extra_info("socket")
    stage.listener.end()
    await asyncio.wait_for(stage.listener.wait_closed(), 20)
    await until(lambda: near.fileno() < 0)
    wire.close()


KINDS = (Opening, SecuredTransport, Deadline, Tls, Parrot)


def belongings() -> list[object]:
    """What belongs to connections, of any test."""
    return [each for each in gc.get_objects() if isinstance(each, KINDS)]


@pytest.fixture
def left_over() -> Iterator[Callable[[], list[object]]]:
    """What belongs to this test's connections and is still there, without Python's collector."""
    gc.collect()
    gc.disable()
    before = belongings()
    known = set(map(id, before))
    try:
        yield lambda: [each for each in belongings() if id(each) not in known]
    finally:
        gc.enable()


async def test_a_connection_cancelled_as_its_handshake_ends_is_gone_and_free(
    stage: Stage,
    trusting: ssl.SSLContext,
    monkeypatch: pytest.MonkeyPatch,
    left_over: Callable[[], list[object]],
) -> None:
    """Whoever waited for TLS was told that it is there, and hears that it isn't wanted any more before it goes on."""
    tell = tls_opening._tell

    def told(waiting: "asyncio.Future[None]", error: OSError | None) -> bool:
        wanted = tell(waiting, error)
        assert stage.parrot._step is not None
        stage.parrot._step.cancel()
        return wanted

    monkeypatch.setattr(tls_opening, "_tell", told)
    wire = await greeted(stage)
    await wire.send(b"STLS\r\n")
    assert await wire.line() == b"+OK"
    client = TlsWire(wire, trusting, "pop.example")
    await client.handshake()
    await stage.parrot.wait_closed()
    assert (stage.admission.held, stage.parrot.lost) == (0, 1)
    # A task keeps what cancelled it, as long as anybody keeps the task.
    stage.parrots.pop()._step = None
    await until(lambda: not left_over())


@pytest.mark.parametrize("way", ["at once", "after the handshake", "by STLS"])
async def test_g15_what_no_tls_ends_is_free_without_the_collector(
    stage: Stage, trusting: ssl.SSLContext, way: str, left_over: Callable[[], list[object]]
) -> None:
    """An error that was raised refers to whom it was raised in, which keeps OpenSSL's memory, unseen by Python."""
    if way == "by STLS":
        wire = await greeted(stage)
        await wire.send(b"STLS\r\n")
        assert await wire.line() == b"+OK"
    else:
        wire = await Wire.to(stage.start(ListenerSpec("pop3s", "127.0.0.1", 0, TlsMode.IMPLICIT)))
    if way == "after the handshake":
        client = TlsWire(wire, trusting, "pop.example")
        await client.handshake()
        await client.line()
    await until(lambda: stage.parrots)
    assert left_over()
    await wire.send(b"GET / HTTP/1.0\r\n\r\n")
    await until(lambda: not stage.admission.held)
    stage.parrots.clear()
    await until(lambda: not left_over())
