"""Clients that take late what was said to them before the end, or nothing: what they get, and how long they are kept.

RFC 1939 §3 (the lock is released when the connection ends), RFC 2595 §4, RFC 8314 §3.4. G6, G8. On both event loops.
"""

import asyncio
import os
import socket
import ssl
from contextlib import suppress

import pytest

from service.net import listener, tls
from service.net.certificates import Certificates
from service.net.peer import TlsMode
from service.net.pop3_service import Pop3Options
from tests.mail.house import House
from tests.net.front import LOGIN, Front, until
from tests.net.wire import TlsWire, Wire

pytestmark = pytest.mark.asyncio(loop_factories=["asyncio", "uvloop"])

LONG = b"Subject: l\r\n\r\n" + b"x" * (12 << 20) + b"\r\n"
"""More than the kernel holds for a client that reads nothing."""
Client = Wire | TlsWire


async def front_of(certificates: Certificates, stall: float) -> Front:
    """It may write all of a message at once, so that nothing but the end waits for the client."""
    options = Pop3Options(failure_delay=0, stall=stall, buffered=32 << 20)
    return Front(await House().furnish(LONG), options, certificates.context())


async def logged_in(front: Front, mode: TlsMode, trusting: ssl.SSLContext) -> Client:
    wire: Client = await Wire.to(front.port)
    if mode is TlsMode.STARTTLS:
        assert isinstance(wire, Wire)
        await wire.line()
        await wire.send(b"STLS\r\n")
        await wire.line()
    if mode is not TlsMode.TERMINATED:
        assert isinstance(wire, Wire)
        wire = TlsWire(wire, trusting, "pop.example")
        await wire.handshake()
    if mode is not TlsMode.STARTTLS:
        await wire.line()
    await wire.send(LOGIN)
    assert (await wire.line()).startswith(b"+OK")
    assert (await wire.line()).startswith(b"+OK")
    return wire


async def said_all(front: Front) -> None:
    """Until the message is written, of which the client took nothing yet."""
    await until(lambda: front.connections[0]._outlet.octets > len(LONG))


@pytest.mark.parametrize("mode", [TlsMode.STARTTLS, TlsMode.IMPLICIT])
async def test_g8_who_reads_late_gets_all_that_was_said_before_the_end(
    mode: TlsMode, certificates: Certificates, trusting: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RFC 8314 §3.4: whatever else waits for the client's close_notify, it has as long as any that reads nothing."""
    for module in (listener, tls):
        monkeypatch.setattr(module, "SHUTDOWN_SECONDS", 0.01)
    front = await front_of(certificates, stall=60.0)
    async with front.listening(mode):
        client = await logged_in(front, mode, trusting)
        await client.send(b"RETR 1\r\nQUIT\r\n")
        await until(lambda: front.connections[0]._ending is not None)
        await asyncio.sleep(0.1)
        assert (await client.line()).startswith(b"+OK")
        for line in (*LONG.split(b"\r\n")[:-1], b"."):
            assert await client.line() == line
        assert (await client.line()).startswith(b"+OK Bye")


@pytest.mark.parametrize("mode", [TlsMode.TERMINATED, TlsMode.STARTTLS, TlsMode.IMPLICIT])
async def test_g6_who_ended_its_side_and_takes_nothing_gives_its_maildrop_back_in_time(
    mode: TlsMode, certificates: Certificates, trusting: ssl.SSLContext
) -> None:
    front = await front_of(certificates, stall=0.05)
    async with front.listening(mode):
        client = await logged_in(front, mode, trusting)
        await client.send(b"RETR 1\r\n")
        await said_all(front)
        (client if isinstance(client, Wire) else client.wire).sock.shutdown(socket.SHUT_WR)
        await until(lambda: not len(front.house.leases))
        await until(lambda: front.connections[0]._finished)


@pytest.mark.parametrize("mode", [TlsMode.TERMINATED, TlsMode.STARTTLS, TlsMode.IMPLICIT])
@pytest.mark.parametrize("end", ["of what the client says", "by autologout", "by staff"])
async def test_g6_a_maildrop_is_free_when_its_session_is_over_though_its_client_stays(
    mode: TlsMode, end: str, certificates: Certificates, trusting: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RFC 1939 §3 and §4: who neither takes what was said nor closes keeps nobody else out."""
    for module in (listener, tls):
        monkeypatch.setattr(module, "SHUTDOWN_SECONDS", 600.0)
    front = await front_of(certificates, stall=600.0)
    async with front.listening(mode):
        client = await logged_in(front, mode, trusting)
        connection = front.connections[0]
        if end == "by autologout":
            connection._idle()
        elif end == "by staff":
            (held,) = front.house.leases._held.values()
            await front.house.locks.evict(held.lease.key)
            await front.house.renew()
        else:
            await client.send(b"RETR 1\r\n")
            await said_all(front)
            (client if isinstance(client, Wire) else client.wire).sock.shutdown(socket.SHUT_WR)
        await until(lambda: not len(front.house.leases))
        await until(lambda: connection._task is None)
        assert (await front.house.open()).guarded
        if mode is not TlsMode.TERMINATED:
            assert not connection._finished


def fill_the_kernel(transport: asyncio.Transport) -> int:
    """Have the kernel hold as much as it takes for a client that reads nothing; how many octets."""
    filled = 0
    with socket.socket(fileno=os.dup(transport.get_extra_info("socket").fileno())) as near, suppress(BlockingIOError):
        while True:
            filled += near.send(b"x" * (1 << 16))
    return filled


async def test_who_reads_nothing_until_the_handshake_is_answered_after_it(
    certificates: Certificates, trusting: ssl.SSLContext
) -> None:
    """RFC 2595 §4: the response to STLS itself waits for the client, which takes everything then."""
    front = await front_of(certificates, stall=60.0)
    async with front.listening(TlsMode.STARTTLS):
        wire = await front.client()
        connection = front.connections[0]
        assert connection._transport is not None
        connection._outlet.bound(0)
        filled = fill_the_kernel(connection._transport)
        await wire.send(b"STLS\r\n")
        await until(lambda: connection._handshaking)
        assert connection._outlet.paused
        response = await wire.line()
        assert response.startswith(b"x" * filled + b"+OK")
        client = TlsWire(wire, trusting, "pop.example")
        await client.handshake()
        await client.send(b"CAPA\r\n")
        assert (await client.line()).startswith(b"+OK")
