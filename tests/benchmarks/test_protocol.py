"""Hot paths of the protocols: what every command, message and connection goes through.

Owns one benchmark for each path, over octets as clients send them. `make bench` times them; `make test` runs each once
and asserts what it comes to, never how long it takes.
RFC 1939 §5 (LIST, NOOP), §7 (TOP, UIDL), §3 (byte-stuffing); RFC 2449 §6.6 (PIPELINING); RFC 5321 §4.5.2.
"""

from array import array
from collections.abc import Iterator

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from service.model.listing import DropListing, Listing
from service.model.policy import Announced, Policy
from service.protocol.bytestuffing import Stuffer, TopCut
from service.protocol.lmtp.data import DotFraming
from service.protocol.pop3.capabilities import Surroundings
from service.protocol.pop3.marks import Marks
from service.protocol.pop3.session import Session
from service.protocol.proxy import parse
from service.protocol.proxy_sending import version_2

MESSAGES = 100_000
OCTETS = 9_000
LINE = b"The quick brown fox jumps over the lazy dog, and the dog goes on to sleep.\r\n"
MEGABYTE = LINE * (1_000_000 // len(LINE))
DOTTED = (LINE * 12 + b".dot\r\n") * (1_000_000 // (12 * len(LINE) + 6))


def drop(messages: int) -> DropListing:
    return DropListing(messages, messages * OCTETS, messages, 0)


def listing(messages: int) -> Listing:
    ids = b"".join(number.to_bytes(16, "big") for number in range(1, messages + 1))
    return Listing(array("q", range(1, messages + 1)), array("q", [OCTETS]) * messages, ids)


def marks(messages: int) -> Marks:
    seen = Marks(drop(messages))
    seen.load(listing(messages))
    return seen


@pytest.fixture
def session() -> Session:
    """One that is logged in, with its listing loaded."""
    session = Session(True, lambda: Surroundings(private=True, may_start_tls=False, announced=Announced()))
    session.logged_in(drop(100), Policy())
    session.marks.load(listing(100))
    session.advance()
    return session


@pytest.mark.parametrize("command", [b"NOOP", b"STAT", b"LIST 7", b"UIDL 7"], ids=bytes.decode)
def test_a_pipeline_of_a_thousand_commands(benchmark: BenchmarkFixture, session: Session, command: bytes) -> None:
    octets = (command + b"\r\n") * 1_000

    def answered() -> list[bytes]:
        session.lines.receive(octets)
        outputs, more = [], True
        while more:
            output, _, _, more = session.advance()
            outputs.append(output)
        session.completed.clear()
        return outputs

    outputs = benchmark(answered)
    assert b"".join(outputs).count(b"+OK") == 1_000


@pytest.mark.parametrize("of", ["scan_lines", "unique_id_lines"])
def test_a_listing_of_100_000_messages(benchmark: BenchmarkFixture, of: str) -> None:
    seen = marks(MESSAGES)

    def made() -> int:
        lines: Iterator[str] = getattr(seen, of)()
        return sum(line.count("\n") for line in lines)

    assert benchmark(made) == MESSAGES


@pytest.mark.parametrize("message", [MEGABYTE, DOTTED], ids=["without dots", "with dots"])
def test_a_megabyte_byte_stuffed(benchmark: BenchmarkFixture, message: bytes) -> None:
    stuffed = benchmark(lambda: Stuffer().feed(message))
    assert len(stuffed) == len(message) + message.count(b"\n.")


def test_twenty_lines_of_a_megabyte_by_top(benchmark: BenchmarkFixture) -> None:
    header = b"From: somebody@example.org\r\n\r\n"
    passed = benchmark(lambda: TopCut(len(header), 20).feed(header + MEGABYTE))
    assert passed == header + LINE * 20


def test_a_megabyte_of_data_unstuffed(benchmark: BenchmarkFixture) -> None:
    sent = Stuffer().feed(DOTTED) + b".\r\n"

    def read() -> bytes:
        buffer, framing, text = bytearray(DotFraming.opening + sent), DotFraming(), bytearray()
        while not framing.ended:
            text += framing.take(buffer)
        return bytes(text)

    assert benchmark(read) == DOTTED


def test_a_proxy_header_of_version_2(benchmark: BenchmarkFixture) -> None:
    header = version_2(("2001:db8::7", 40_000), ("2001:db8::1", 995), "TLSv1.3")
    proxied = benchmark(parse, header)
    assert proxied.source == ("2001:db8::7", 40_000)
