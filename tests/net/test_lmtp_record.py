"""What a connection by LMTP leaves in metrics, events and traces. RFC 2033 §4.2: a delivery is one recipient's."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
import trustme
from prometheus_client import REGISTRY

from service.app.traces import whole_url
from service.mail.text_memory import TextMemory
from service.model.account import Recipient
from service.model.address import Address
from service.model.ending import Ending
from service.model.event import Event, Kind
from service.model.refusal import Reason, Refusal
from service.net.certificates import Certificates
from service.net.lmtp_record import Record
from service.net.peer import Peer
from service.stores.memory.directory import MemoryDirectory
from service.stores.memory.state import MemoryState
from service.telemetry.otlp import OtlpTracer, TraceOptions
from tests.net.conftest import write_pair
from tests.net.front import until
from tests.net.test_lmtp import ENVELOPE, TEXT, Stage, codes
from tests.telemetry.collector import collecting, under

pytestmark = pytest.mark.asyncio
TWO = ENVELOPE + b"RCPT TO:<v@a.example>\r\n"


class DirectoryAway(MemoryDirectory):
    """Has lost its database."""

    async def resolve(self, address: Address) -> Recipient:
        raise Refusal(Reason.UNAVAILABLE, f"asked for {address.domain}")


class Heard:
    """Keeps all events."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def wants(self, kind: Kind) -> bool:
        return True

    def tell(self, event: Event) -> None:
        self.events.append(event)


def counted() -> dict[str, float]:
    """Deliveries by outcome."""
    (family,) = (each for each in REGISTRY.collect() if each.name == "poplar_messages_delivered")
    return {sample.labels["outcome"]: sample.value for sample in family.samples}


def since(before: dict[str, float]) -> dict[str, float]:
    """Those that came to be since."""
    return {outcome: more for outcome, now in counted().items() if (more := now - before.get(outcome, 0))}


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest_asyncio.fixture
async def lmtp(tmp_path: Path, ca: trustme.CA, heard: Heard) -> AsyncIterator[Stage]:
    write_pair(tmp_path, "default", ca, "mx.example", "localhost")
    stage = Stage(Certificates(tmp_path, alpn=()), events=heard)
    stage.provider.add("v@a.example")
    yield stage
    stage.listener.end()
    await stage.listener.wait_closed()


async def test_a_recipient_that_is_refused_is_counted_as_a_delivery_that_failed(lmtp: Stage) -> None:
    lmtp.directory = DirectoryAway(MemoryState())
    wire = await lmtp.dial()
    before = counted()
    await wire.send(TWO)
    assert await codes(wire, 4) == [250, 250, 451, 451]
    assert since(before) == {"unavailable": 2}
    wire.close()


@pytest.mark.parametrize(("text", "replies"), [(b"DATA\r\n", [451]), (b"BDAT 5 LAST\r\nhello", [451, 451])])
async def test_a_text_for_which_there_is_no_memory_is_counted_and_told_once_for_each_recipient(
    lmtp: Stage, heard: Heard, text: bytes, replies: list[int]
) -> None:
    lmtp.memory = memory = TextMemory(1 << 20, patience=0.01)
    await memory.first.take(memory.first.bound)
    wire = await lmtp.dial()
    before = counted()
    await wire.send(TWO + text + b"QUIT\r\n")
    assert await codes(wire, 5 + len(replies)) == [250, 250, 250, 250, *replies, 221]
    await lmtp.gone()
    assert since(before) == {"overloaded": 2}
    assert [(event.kind, event.address, event.reason) for event in heard.events] == [
        (Kind.DELIVERY_REFUSAL, f"{local}@a.example", "overloaded") for local in "uv"
    ]


async def test_a_connection_that_ends_before_its_session_began_is_not_counted_down(heard: Heard) -> None:
    peer = Peer("192.0.2.1", 2525, "unbegun lmtp")
    Record(peer.listener, peer.address, heard).ended(peer, Ending.FAULT, 0)
    assert REGISTRY.get_sample_value("poplar_sessions", {"listener": "unbegun lmtp", "state": "open"}) in {None, 0}


async def test_a_text_that_is_delivered_is_counted_once_for_each_recipient(lmtp: Stage) -> None:
    wire = await lmtp.dial()
    before = counted()
    await wire.send(TWO + b"DATA\r\n" + TEXT)
    assert await codes(wire, 7) == [250, 250, 250, 250, 354, 250, 250]
    assert since(before) == {"stored": 2}
    wire.close()


def octets(way: str) -> float:
    return REGISTRY.get_sample_value(f"poplar_octets_{way}_total", {"listener": "lmtp"}) or 0.0


async def test_octets_are_counted_while_they_come_and_each_once(lmtp: Stage) -> None:
    """A mail server keeps its connection for hours."""
    wire = await lmtp.dial()
    received, sent = octets("received"), octets("sent")
    text = ENVELOPE + b"DATA\r\n" + b"x" * 100_000 + b"\r\n"
    await wire.send(text)
    assert await codes(wire, 4) == [250, 250, 250, 354]
    await until(lambda: octets("received") > received + 64 * 1024)
    await wire.send(b".\r\nQUIT\r\n")
    assert await codes(wire, 2) == [250, 221]
    await lmtp.gone()
    assert octets("received") == received + len(text) + len(b".\r\nQUIT\r\n")
    assert octets("sent") == sent + lmtp.connections[0]._outlet.octets


@pytest.mark.parametrize("recipient", [b"u", b"no"])
@pytest.mark.parametrize("ending", [b"RSET\r\n", b"LHLO again.example\r\n"])
async def test_a_transaction_that_is_given_up_ends_its_trace(lmtp: Stage, recipient: bytes, ending: bytes) -> None:
    """RFC 5321 §4.1.1.5 and §4.1.4; a MAIL that is accepted comes after either (§4.1.1.2)."""
    mail = b"MAIL FROM:<>\r\nRCPT TO:<%s@a.example>\r\n"
    with collecting() as collector:
        options = TraceOptions(endpoint=whole_url(collector.endpoint))
        lmtp.tracer = tracer = OtlpTracer({"service.name": "poplar-lmtp"}, options, lambda _outcome, _count: None)
        wire = await lmtp.dial()
        await wire.send(b"LHLO x\r\n" + mail % recipient + ending + mail % b"v" + b"DATA\r\n" + TEXT + b"QUIT\r\n")
        assert (await codes(wire, 9))[-1] == 221
        await lmtp.gone()
        assert await asyncio.to_thread(tracer.close, 30)
        roots = [span for span in collector.spans if not span.parent]
        steps = [[span.name for span in under(collector.spans, root)] for root in roots]
    assert steps == [["RCPT"], ["RCPT", "end of mail data"]]
