"""From ready to gone: what each connection gets to finish, and what ends it."""

import asyncio
import socket
import ssl

import pytest

from service.net.arrival import ListenerSpec
from service.net.drain import Drain, Phase
from service.net.listener import Listener
from service.net.peer import TlsMode
from tests.net.conftest import Stage
from tests.net.wire import TlsWire, Wire

pytestmark = pytest.mark.asyncio(loop_factories=["asyncio", "uvloop"])

PLAIN = ListenerSpec("pop3", "127.0.0.1", 0)
IMPLICIT = ListenerSpec("pop3s", "127.0.0.1", 0, TlsMode.IMPLICIT)


def draining(drain: Drain, listener: Listener, grace: float, settle: float = 0.0) -> "asyncio.Task[bool]":
    return asyncio.get_running_loop().create_task(drain.run([listener], grace, settle))


async def test_readiness_is_for_the_time_between_start_and_drain(stage: Stage) -> None:
    stage.start(PLAIN)
    drain = Drain()
    phases = [drain.phase]
    drain.ready()
    phases.append(drain.phase)
    assert await drain.run([stage.listener], grace=5)
    drain.ready()
    phases.append(drain.phase)
    assert phases == [Phase.STARTING, Phase.READY, Phase.DRAINING]


async def test_idle_connections_get_a_polite_refusal(stage: Stage) -> None:
    port = stage.start(PLAIN)
    wires = [await Wire.to(port) for _ in range(3)]
    for wire in wires:
        await wire.line()
    assert await Drain().run([stage.listener], grace=5)
    assert [await wire.rest() for wire in wires] == [b"-ERR drain\r\n"] * 3


async def test_nobody_is_accepted_any_more(stage: Stage) -> None:
    port = stage.start(PLAIN)
    assert await Drain().run([stage.listener], grace=5)
    with pytest.raises(ConnectionRefusedError):
        await Wire.to(port)


async def test_what_is_in_the_middle_may_finish(stage: Stage) -> None:
    wire = await Wire.to(stage.start(PLAIN))
    await wire.line()
    await wire.send(b"BUSY\r\n")
    await wire.line()
    running = draining(Drain(), stage.listener, grace=30)
    await asyncio.sleep(0)
    await wire.send(b"more\r\nDONE\r\n")
    assert await wire.rest() == b"more\r\n+OK\r\n-ERR drain\r\n"
    assert await running


async def test_what_does_not_finish_within_the_grace_is_ended(stage: Stage) -> None:
    wire = await Wire.to(stage.start(PLAIN))
    await wire.line()
    await wire.send(b"BUSY\r\n")
    await wire.line()
    assert not await Drain().run([stage.listener], grace=0.05)
    assert await wire.rest() == b""
    assert (stage.admission.held, len(stage.listener.connections)) == (0, 0)


async def test_a_set_up_in_the_middle_is_given_up_after_the_grace(stage: Stage) -> None:
    wire = await Wire.to(stage.start(IMPLICIT))
    await wire.send(b"\x16")
    assert not await Drain().run([stage.listener], grace=0.05)
    assert await wire.rest() == b""


async def test_a_handshake_in_the_middle_may_finish_and_ends_in_the_refusal(
    stage: Stage, trusting: ssl.SSLContext
) -> None:
    wire = await Wire.to(stage.start(IMPLICIT))
    client = TlsWire(wire, trusting, "pop.example")
    hello = client.hello()
    await wire.send(hello[:-1])
    await stage.hatched.wait()
    running = draining(Drain(), stage.listener, grace=30)
    await asyncio.sleep(0)
    await wire.send(hello[-1:])
    await client.handshake()
    while await client.line() != b"-ERR drain":
        continue
    wire.close()
    assert await running


async def test_those_the_kernel_had_queued_are_refused_in_words(stage: Stage) -> None:
    """Connected but not accepted yet when the listener closes: a plain close would reset them."""
    port = stage.start(PLAIN)
    queued = [socket.create_connection(("127.0.0.1", port)) for _ in range(5)]
    assert stage.parrots == []
    stage.listener.drain()
    await stage.listener.wait_closed()
    for client in queued:
        client.setblocking(False)
        assert await Wire(client).rest() == b"-ERR drain\r\n"


async def test_traffic_goes_on_while_load_balancers_look_away(stage: Stage) -> None:
    port = stage.start(PLAIN)
    drain = Drain()
    drain.ready()
    running = draining(drain, stage.listener, grace=5, settle=3600)
    await asyncio.sleep(0)
    assert drain.phase is Phase.DRAINING
    wire = await Wire.to(port)
    assert (await wire.line()).startswith(b"+OK")
    running.cancel()


async def test_ending_twice_and_after_the_end_is_harmless(stage: Stage) -> None:
    stage.start(PLAIN)
    for _ in range(2):
        stage.listener.drain()
        stage.listener.end()
        await stage.listener.wait_closed()
