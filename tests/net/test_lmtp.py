"""LMTP over real sockets: loop, backpressure, deadlines, TLS and the end.

RFC 2033, RFC 5321 §3.8, §4.2.2, §4.5.3.2 and §4.5.3.2.7, RFC 3207 §4.
"""

import asyncio
import gc
import hashlib
import smtplib
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from weakref import ref

import pytest
import pytest_asyncio
import trustme
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from service.mail.delivery import Delivery, DeliveryStores
from service.mail.events import Events, Unheard
from service.mail.long_texts import LongTexts
from service.mail.pace import Pace
from service.mail.recipients import FoundRecipients
from service.mail.text_memory import TextMemory
from service.model.account import Recipient
from service.model.address import Address
from service.net.admission import Admission
from service.net.arrival import ListenerSpec
from service.net.certificates import Certificates
from service.net.listener import Listener, Reception
from service.net.lmtp import LmtpConnection
from service.net.lmtp_service import LmtpOptions, LmtpService
from service.net.peer import Peer, TlsMode
from service.protocol.lmtp.state import Terms
from service.stores.memory.blobs import MemoryBlobStore
from service.stores.memory.directory import MemoryDirectory
from service.stores.memory.state import MemoryState
from service.telemetry.spans import Tracer, Untraced
from tests.mail.provider import Provider
from tests.net.conftest import write_pair
from tests.net.front import until
from tests.net.wire import TlsWire, Wire

BOTH_LOOPS = pytest.mark.asyncio(loop_factories=["asyncio", "uvloop"])
ENVELOPE = b"LHLO client.example\r\nMAIL FROM:<s@b.example>\r\nRCPT TO:<u@a.example>\r\n"
TEXT = b"Subject: x\r\n\r\n..dotted\r\n.\r\n"


class GatedBlobs(MemoryBlobStore):
    """Reads nothing until the gate opens."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = asyncio.Event()

    async def put(self, key: str, chunks: AsyncIterator[bytes]) -> None:
        await self.gate.wait()
        await super().put(key, chunks)


class BrokenDirectory(MemoryDirectory):
    """Has a defect."""

    async def resolve(self, address: Address) -> Recipient:
        raise ZeroDivisionError


class BrokenBlobs(MemoryBlobStore):
    """Has a defect that one text meets."""

    async def put(self, key: str, chunks: AsyncIterator[bytes]) -> None:
        octets = b"".join([chunk async for chunk in chunks])
        if b"unlucky" in octets:
            raise ZeroDivisionError
        self._blobs[key] = octets, self._now()


class GatedDirectory(MemoryDirectory):
    """Finds nobody until the gate opens."""

    def __init__(self, state: MemoryState) -> None:
        super().__init__(state)
        self.gate = asyncio.Event()

    async def resolve(self, address: Address) -> Recipient:
        await self.gate.wait()
        return await super().resolve(address)


class CountingDirectory(MemoryDirectory):
    """Counts what it is asked."""

    asked = 0

    async def resolve(self, address: Address) -> Recipient:
        self.asked += 1
        return await super().resolve(address)


@dataclass
class Stage:
    """One LMTP listener over memory stores."""

    certificates: Certificates
    provider: Provider = field(default_factory=Provider)
    options: LmtpOptions = field(default_factory=LmtpOptions)
    connections: list[LmtpConnection] = field(default_factory=list)
    directory: MemoryDirectory | None = None
    tls: TlsMode = TlsMode.NONE
    terms: Terms = field(default_factory=lambda: Terms("mx.example"))
    pace: Pace | None = None
    long_texts: LongTexts | None = None
    remembering: bool = False
    memory: TextMemory = field(default_factory=lambda: TextMemory(1 << 28))
    events: Events = field(default_factory=Unheard)
    tracer: Tracer = field(default_factory=Untraced)

    def start(self) -> int:
        provider = self.provider
        lately = FoundRecipients(provider.clock) if self.remembering else None
        directory, clock = self.directory or provider.directory, provider.clock
        stores = DeliveryStores(directory, provider.blobs, provider.index, clock, lately)
        delivery = Delivery(stores, "mx.example", self.memory)
        plain = LmtpService(delivery, self.terms, self.certificates.context(), self.options)
        plain = replace(plain, events=self.events, tracer=self.tracer)
        self.service = replace(plain, pace=self.pace, long_texts=self.long_texts)
        self.key = provider.add("u@a.example")
        reception = Reception(self._make, Admission(100), self.certificates.context())
        self.listener = Listener(ListenerSpec("lmtp", "127.0.0.1", 0, tls=self.tls), reception)
        return self.listener.start()

    def _make(self, peer: Peer) -> LmtpConnection:
        self.connections.append(LmtpConnection(self.service, peer))
        return self.connections[-1]

    async def dial(self) -> Wire:
        wire = await Wire.to(self.start())
        assert await wire.line() == b"220 mx.example LMTP Poplar"
        return wire

    async def gone(self) -> None:
        for connection in self.connections:
            await connection.wait_closed()


@pytest_asyncio.fixture
async def lmtp(tmp_path: Path, ca: trustme.CA) -> AsyncIterator[Stage]:
    write_pair(tmp_path, "default", ca, "mx.example", "localhost")
    stage = Stage(Certificates(tmp_path, alpn=()))
    yield stage
    stage.listener.end()
    await stage.listener.wait_closed()


async def codes(wire: Wire, count: int) -> list[int]:
    """The codes of the next `count` replies."""
    found: list[int] = []
    while len(found) < count:
        line = await wire.line()
        if line[3:4] == b" ":
            found.append(int(line[:3]))
    return found


@BOTH_LOOPS
async def test_a_message_for_two_recipients_and_a_stranger(lmtp: Stage) -> None:
    wire = await lmtp.dial()
    other = lmtp.provider.add("v@c.example")
    await wire.send(ENVELOPE + b"RCPT TO:<no@a.example>\r\nRCPT TO:<v@c.example>\r\nDATA\r\n")
    assert await codes(wire, 6) == [250, 250, 250, 550, 250, 354]
    await wire.send(TEXT)
    assert await codes(wire, 2) == [250, 250]
    for key in (lmtp.key, other):
        (text,) = await lmtp.provider.texts(key)
        assert text.endswith(b"Subject: x\r\n\r\n.dotted\r\n")
        assert b"from client.example ([127.0.0.1])" in text
        assert b"with LMTP id" in text
    await wire.send(b"QUIT\r\n")
    assert await codes(wire, 1) == [221]
    assert await wire.receive() == b""
    await lmtp.gone()


@BOTH_LOOPS
async def test_a_script_sent_at_once_and_half_closed_is_done_to_its_end(lmtp: Stage) -> None:
    wire = await lmtp.dial()
    await wire.send(
        ENVELOPE + b"DATA\r\n" + TEXT + b"MAIL FROM:<>\r\nRCPT TO:<u@a.example>\r\nBDAT 2 LAST\r\nhiNOOP\r\n"
    )
    wire.sock.shutdown(1)
    assert await codes(wire, 9) == [250, 250, 250, 354, 250, 250, 250, 250, 250]
    assert await wire.receive() == b""
    await lmtp.gone()
    assert len(await lmtp.provider.texts(lmtp.key)) == 2


@BOTH_LOOPS
@pytest.mark.parametrize("ending", [b".\r\nQUIT\r\n", None], ids=["quit", "cut"])
async def test_g15_a_connection_that_ended_is_free_without_the_collector(lmtp: Stage, ending: bytes | None) -> None:
    gc.collect()
    gc.disable()
    try:
        wire = await lmtp.dial()
        await wire.send(ENVELOPE + b"DATA\r\n")
        assert await codes(wire, 4) == [250, 250, 250, 354]
        await wire.send(b"Subject: x\r\n" + (ending or b""))
        if ending:
            assert await codes(wire, 2) == [250, 221]
        wire.close()
        gone = [ref(each) for each in lmtp.connections]
        await lmtp.gone()
        lmtp.connections.clear()
        await until(lambda: all(each() is None for each in gone))
    finally:
        gc.enable()


@BOTH_LOOPS
async def test_a_cut_before_the_end_leaves_nothing_g09(lmtp: Stage) -> None:
    wire = await lmtp.dial()
    await wire.send(ENVELOPE + b"DATA\r\n")
    await codes(wire, 4)
    await wire.send(TEXT[:-3])
    wire.reset()
    await lmtp.gone()
    assert lmtp.provider.rows(lmtp.key) == []
    assert await lmtp.provider.keys() == []


@BOTH_LOOPS
async def test_an_end_of_the_stream_is_no_end_of_the_text_g09(lmtp: Stage) -> None:
    wire = await lmtp.dial()
    await wire.send(ENVELOPE + b"DATA\r\n" + TEXT[:-3])
    wire.sock.shutdown(1)
    assert await codes(wire, 4) == [250, 250, 250, 354]
    assert await wire.receive() == b""
    await lmtp.gone()
    assert await lmtp.provider.keys() == []


@BOTH_LOOPS
async def test_a_client_that_leaves_after_the_end_of_its_text_is_delivered_to(lmtp: Stage) -> None:
    blobs = lmtp.provider.blobs = GatedBlobs()
    wire = await lmtp.dial()
    await wire.send(ENVELOPE + b"DATA\r\n" + TEXT)
    assert await codes(wire, 4) == [250, 250, 250, 354]
    wire.close()
    blobs.gate.set()
    await lmtp.gone()
    assert len(lmtp.provider.rows(lmtp.key)) == 1


async def test_the_log_names_each_text_by_its_trace(lmtp: Stage) -> None:
    wire = await lmtp.dial()
    with capture_logs() as lines:
        await wire.send(ENVELOPE + b"DATA\r\n" + TEXT)
        assert await codes(wire, 5) == [250, 250, 250, 354, 250]
    (said,) = (line for line in lines if line["event"] == "delivered")
    assert (said["address"], said["sender"], said["octets"]) == ("u@a.example", "s@b.example", 23)
    (text,) = await lmtp.provider.texts(lmtp.key)
    assert f"LMTP id {said['id']};".encode() in text
    wire.close()


async def test_the_log_tells_of_a_text_that_grew_too_big(lmtp: Stage) -> None:
    lmtp.terms = Terms("mx.example", max_octets=10)
    wire = await lmtp.dial()
    with capture_logs() as lines:
        await wire.send(ENVELOPE + b"DATA\r\n" + TEXT)
        assert await codes(wire, 5) == [250, 250, 250, 354, 552]
    (said,) = (line for line in lines if line["event"] == "not delivered")
    assert (said["address"], said["reason"]) == ("u@a.example", "too_big")
    wire.close()


@BOTH_LOOPS
async def test_a_slow_store_stops_the_reading(lmtp: Stage) -> None:
    blobs = lmtp.provider.blobs = GatedBlobs()
    wire = await lmtp.dial()
    (connection,) = lmtp.connections
    text = b"x" * 998 + b"\r\n"
    await wire.send(ENVELOPE + b"DATA\r\n")
    await codes(wire, 4)
    sending = asyncio.ensure_future(wire.send(text * 40_000 + b".\r\n"))
    await asyncio.wait({sending}, timeout=0.3)
    assert connection._session.buffered <= 1024 * 1024
    assert not sending.done()
    blobs.gate.set()
    await sending
    assert await codes(wire, 1) == [250]
    (row,) = lmtp.provider.rows(lmtp.key)
    stored = await blobs.read(row.message.blob.key, 0, row.message.blob.octets)
    assert stored.endswith(text * 40_000)
    assert hashlib.sha256(stored).digest() == row.message.blob.sha256


def spent(verb: str) -> float:
    """Seconds that the metrics say for commands of this verb that were answered 250."""
    return REGISTRY.get_sample_value("poplar_lmtp_command_seconds_sum", {"verb": verb, "code": "250"}) or 0.0


async def test_the_time_of_a_delivery_is_counted_with_its_storing(lmtp: Stage) -> None:
    blobs = lmtp.provider.blobs = GatedBlobs()
    wire = await lmtp.dial()
    before = spent("DATA")
    await wire.send(ENVELOPE + b"DATA\r\n" + TEXT)
    assert await codes(wire, 4) == [250, 250, 250, 354]
    await asyncio.sleep(0.2)
    blobs.gate.set()
    assert await codes(wire, 1) == [250]
    assert spent("DATA") - before > 0.1


@BOTH_LOOPS
async def test_a_client_that_reads_no_replies_is_cut(lmtp: Stage) -> None:
    lmtp.options = replace(lmtp.options, stall=0.05)
    wire = await lmtp.dial()
    flood = wire.send(b"VRFY x\r\n" * 10_000_000)
    with pytest.raises(ConnectionError):
        await flood
    await lmtp.gone()


@BOTH_LOOPS
async def test_an_idle_client_is_told_and_closed(lmtp: Stage) -> None:
    lmtp.options = replace(lmtp.options, idle=0.05)
    wire = await lmtp.dial()
    assert await wire.rest() == b"421 4.4.2 Idle for too long\r\n"
    await lmtp.gone()


@BOTH_LOOPS
async def test_a_drain_between_transactions_says_so(lmtp: Stage) -> None:
    wire = await lmtp.dial()
    await wire.send(b"LHLO x\r\n")
    await codes(wire, 1)
    lmtp.listener.drain()
    assert await wire.rest() == b"421 4.3.2 Service shutting down, try again\r\n"
    await lmtp.listener.wait_closed()


@BOTH_LOOPS
async def test_a_drain_finishes_the_transaction_in_the_middle(lmtp: Stage) -> None:
    wire = await lmtp.dial()
    await wire.send(ENVELOPE + b"DATA\r\nSubject")
    await codes(wire, 4)
    lmtp.listener.drain()
    await wire.send(TEXT)
    assert await codes(wire, 2) == [250, 421]
    assert await wire.receive() == b""
    await lmtp.listener.wait_closed()
    assert len(await lmtp.provider.texts(lmtp.key)) == 1


@BOTH_LOOPS
@pytest.mark.parametrize(("sent", "replies"), [(b"LHLO x\r\n", 1), (ENVELOPE, 3), (ENVELOPE + b"DATA\r\nSubject", 4)])
async def test_an_end_says_so_and_leaves_nothing(lmtp: Stage, sent: bytes, replies: int) -> None:
    wire = await lmtp.dial()
    await wire.send(sent)
    await codes(wire, replies)
    lmtp.listener.end()
    assert await wire.rest() == b"421 4.3.2 Service shutting down, try again\r\n"
    await lmtp.listener.wait_closed()
    assert await lmtp.provider.keys() == []


@BOTH_LOOPS
async def test_g18_an_end_says_nothing_of_a_text_that_is_being_stored(lmtp: Stage) -> None:
    lmtp.provider.blobs = blobs = GatedBlobs()
    wire = await lmtp.dial()
    await wire.send(ENVELOPE + b"DATA\r\n")
    await codes(wire, 4)
    await wire.send(TEXT)
    await until(lambda: lmtp.connections[0]._task is not None)
    lmtp.listener.end()
    assert await wire.rest() == b""
    blobs.gate.set()
    await lmtp.listener.wait_closed()
    assert len(lmtp.provider.rows(lmtp.key)) == 1


@BOTH_LOOPS
async def test_who_must_make_room_is_told_to_come_again(lmtp: Stage) -> None:
    wire = await lmtp.dial()
    lmtp.connections[0].shed()
    assert await wire.rest() == b"421 4.3.2 Too many connections, try again later\r\n"
    await lmtp.gone()


async def test_a_refusal_takes_the_place_of_the_greeting(lmtp: Stage) -> None:
    port = lmtp.start()
    lmtp.listener.drain()
    lmtp.listener.end()
    connection = LmtpConnection(lmtp.service, Peer("127.0.0.1", 1, "lmtp"))
    connection.drain()
    server = await asyncio.get_running_loop().create_server(lambda: connection, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    wire = await Wire.to(port)
    assert await wire.rest() == b"421 4.3.2 Service shutting down, try again\r\n"
    server.close()


@BOTH_LOOPS
async def test_a_defect_costs_one_connection(lmtp: Stage) -> None:
    lmtp.directory = BrokenDirectory(MemoryState())
    wire = await lmtp.dial()
    await wire.send(ENVELOPE)
    assert await codes(wire, 2) == [250, 250]
    assert await wire.receive() == b""
    await lmtp.gone()


@BOTH_LOOPS
@pytest.mark.parametrize("again", [1, 20_000])
async def test_g14_a_defect_of_the_store_refuses_its_text_for_now_and_is_told(
    lmtp: Stage, again: int, caplog: pytest.LogCaptureFixture
) -> None:
    """Short texts are put in the connection's own task, long ones in another; the sender keeps its connection."""
    lmtp.provider.blobs = BrokenBlobs()
    wire = await lmtp.dial()
    await wire.send(ENVELOPE + b"DATA\r\n" + b"unlucky\r\n" * again + b".\r\n")
    assert await codes(wire, 5) == [250, 250, 250, 354, 451]
    assert [type(record.exc_info[1]) for record in caplog.records if record.exc_info] == [ZeroDivisionError]
    await wire.send(ENVELOPE.partition(b"\r\n")[2] + b"DATA\r\n" + TEXT)
    assert await codes(wire, 4) == [250, 250, 354, 250]
    wire.close()


@BOTH_LOOPS
async def test_starttls_makes_it_lmtps_and_drops_what_came_before(lmtp: Stage, trusting: ssl.SSLContext) -> None:
    lmtp.tls = TlsMode.STARTTLS
    wire = await lmtp.dial()
    await wire.send(b"LHLO x\r\n")
    assert b"250 STARTTLS" in [await wire.line() for _ in range(8)]
    await wire.send(b"STARTTLS\r\nMAIL FROM:<evil@x.example>\r\n")
    assert await codes(wire, 1) == [220]
    tls = TlsWire(wire, trusting, "mx.example")
    await tls.handshake()
    await tls.send(b"RCPT TO:<u@a.example>\r\n")
    assert (await tls.line())[:3] == b"503"
    await tls.send(ENVELOPE + b"DATA\r\n" + TEXT)
    lines = [await tls.line() for _ in range(11)]
    assert not any(b"STARTTLS" in line for line in lines)
    assert lines[-1] == b"250 2.0.0 Delivered"
    (text,) = await lmtp.provider.texts(lmtp.key)
    assert b"with LMTPS id" in text
    tls.wire.close()


@BOTH_LOOPS
async def test_what_waits_unread_at_starttls_breaks_the_handshake(lmtp: Stage, trusting: ssl.SSLContext) -> None:
    forged = b"LHLO x\r\nMAIL FROM:<evil@x.example>\r\n" * 50
    directory = lmtp.directory = GatedDirectory(lmtp.provider.state)
    lmtp.tls, lmtp.options = TlsMode.STARTTLS, LmtpOptions(buffered=1024)
    wire = await lmtp.dial()
    await wire.send(ENVELOPE + b"RSET\r\nSTARTTLS\r\n" + forged)
    assert await codes(wire, 2) == [250, 250]
    # By now so much waits for the gate that no more is read.
    await wire.send(forged)
    directory.gate.set()
    assert await codes(wire, 3) == [250, 250, 220]
    with pytest.raises((EOFError, OSError)):
        await TlsWire(wire, trusting, "mx.example").handshake()
    await lmtp.gone()
    wire.close()


@BOTH_LOOPS
async def test_implicit_tls_makes_it_lmtps(lmtp: Stage, trusting: ssl.SSLContext) -> None:
    lmtp.tls = TlsMode.IMPLICIT
    wire = await Wire.to(lmtp.start())
    tls = TlsWire(wire, trusting, "mx.example")
    await tls.handshake()
    assert (await tls.line())[:3] == b"220"
    await tls.send(ENVELOPE + b"DATA\r\n" + TEXT + b"QUIT\r\n")
    while (await tls.line())[:3] != b"221":
        pass
    assert await tls.ended_with_close_notify()
    wire.close()
    assert b"with LMTPS id" in (await lmtp.provider.texts(lmtp.key))[0]


async def test_pythons_own_client_delivers(lmtp: Stage) -> None:
    port = lmtp.start()

    def send() -> dict[str, tuple[int, bytes]]:
        with smtplib.LMTP("127.0.0.1", port) as client:
            return client.sendmail("s@b.example", ["u@a.example"], "Subject: ü\r\n\r\n.\r\n".encode(), ["SMTPUTF8"])

    assert await asyncio.to_thread(send) == {}
    assert (await lmtp.provider.texts(lmtp.key))[0].endswith("Subject: ü\r\n\r\n.\r\n".encode())
    await lmtp.gone()


@BOTH_LOOPS
async def test_a_recipient_that_took_mail_lately_is_accepted_without_asking_for_it(lmtp: Stage) -> None:
    lmtp.directory = directory = CountingDirectory(lmtp.provider.state)
    lmtp.remembering = True
    wire = await lmtp.dial()
    for _ in range(2):
        await wire.send(ENVELOPE + b"DATA\r\n")
        assert await codes(wire, 4) == [250, 250, 250, 354]
        await wire.send(TEXT)
        assert await codes(wire, 1) == [250]
    assert directory.asked == 1
    assert len(lmtp.provider.rows(lmtp.key)) == 2
