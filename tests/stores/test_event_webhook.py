"""The webhook against a real receiver: signed, in order, tried again while it fails, hangs or is away.

RFC 9110 §15: which answers are worth a repetition. RFC 2104 §2: the signature.
"""

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trustme

from service.mail.events import EventStream, Pipe, PipeBounds
from service.model.event import Event, Kind
from service.model.refusal import Reason, Refusal
from service.stores.event_webhook import EventWebhook, WebhookOptions, signature
from tests.mail.provider import SetClock
from tests.mail.test_events import Told, running
from tests.net.front import until
from tests.stores.receiver import SECRET, receiving

BATCH = [Event(Kind.LOGIN, session=str(number)) for number in range(3)]


@asynccontextmanager
async def webhook(port: int, seconds: float = 10.0) -> AsyncIterator[EventWebhook]:
    sink = EventWebhook(WebhookOptions(f"http://127.0.0.1:{port}/in", SECRET, seconds))
    try:
        yield sink
    finally:
        await sink.aclose()


async def reason_of(sink: EventWebhook) -> Reason:
    with pytest.raises(Refusal) as refused:
        await sink.take(BATCH)
    return refused.value.reason


async def test_a_batch_is_posted_in_order_and_signed() -> None:
    async with receiving() as receiver, webhook(receiver.port) as sink:
        await sink.take(BATCH)
        await sink.take(BATCH[:1])
    assert receiver.sessions == ["0", "1", "2", "0"]
    assert [body["schema"] for body in receiver.bodies] == [1, 1]


def test_the_signature_is_over_the_moment_and_the_body_by_the_secret() -> None:
    """The expected value is `openssl dgst -sha256 -hmac Jefe` of the moment, a dot and the body."""
    signed = signature("Jefe", 1700000000, b"what do ya want for nothing?")
    assert signed == "t=1700000000,v1=1cdd0650c8be1cb0974b1788d458b1e781206cfef59b85faafc582d2e182c57e"


@pytest.mark.parametrize("status", [500, 502, 503, 408, 425, 429])
async def test_what_may_pass_is_worth_a_repetition(status: int) -> None:
    async with receiving() as receiver, webhook(receiver.port) as sink:
        receiver.answer = status
        assert await reason_of(sink) is Reason.UNAVAILABLE


@pytest.mark.parametrize("status", [301, 307, 400, 401, 403, 404, 410, 413])
async def test_what_the_receiver_does_not_want_is_sent_once_and_nowhere_else(status: int) -> None:
    async with receiving() as receiver, webhook(receiver.port) as sink:
        receiver.answer = status
        assert await reason_of(sink) is Reason.INVALID
        assert receiver.requests == 1


async def test_a_receiver_that_hangs_costs_one_deadline() -> None:
    async with receiving() as receiver, webhook(receiver.port, seconds=0.1) as sink:
        receiver.answer = 0
        assert await reason_of(sink) is Reason.UNAVAILABLE


async def test_a_receiver_that_is_away_is_refused_as_temporary() -> None:
    async with receiving() as receiver:
        port = receiver.port
    async with webhook(port) as sink:
        assert await reason_of(sink) is Reason.UNAVAILABLE


@asynccontextmanager
async def piped(port: int) -> AsyncIterator[tuple[EventStream, Pipe, Told]]:
    told = Told()
    async with webhook(port, seconds=0.2) as sink:
        pipe = Pipe(sink, PipeBounds(100, 2, 60.0, 0.001, 0.01), told)
        async with running(pipe):
            yield EventStream([pipe], SetClock(), "pod:1"), pipe, told


def tell(stream: EventStream, *sessions: str) -> None:
    for session in sessions:
        stream.tell(Event(Kind.LOGIN, session=session))


async def test_a_receiver_that_fails_hangs_goes_away_and_comes_back_misses_nothing_and_gets_it_in_order() -> None:
    async with receiving() as first, piped(first.port) as (stream, pipe, told):
        first.answer = 503
        tell(stream, "while it fails")
        await until(lambda: first.requests > 1)
        first.answer, failed = 0, first.requests
        tell(stream, "while it hangs")
        await until(lambda: first.requests > failed + 1)
        first.stop()
        tell(stream, "while it is away")
        repeated = told.counts["repeated"]
        await until(lambda: told.counts["repeated"] > repeated + 1)
        async with receiving(port=first.port) as second:
            assert await pipe.settled(30.0) == 0
            assert second.sessions == ["while it fails", "while it hangs", "while it is away"]
    assert told.counts["delivered"] == 3
    assert "dropped" not in told.counts


async def test_a_batch_whose_answer_was_lost_comes_again_with_the_same_ids() -> None:
    async with receiving() as receiver, piped(receiver.port) as (stream, pipe, _):
        receiver.answer = -1
        tell(stream, "a", "b")
        await until(lambda: receiver.bodies)
        receiver.answer = 204
        assert await pipe.settled(30.0) == 0
    first, again = receiver.bodies[0], receiver.bodies[-1]
    assert first == again
    assert len(receiver.bodies) > 1


async def test_it_speaks_tls_to_a_receiver_that_it_trusts_and_to_no_other(ca: trustme.CA, tmp_path: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("127.0.0.1").configure_cert(context)
    trusted = tmp_path / "ca.pem"
    ca.cert_pem.write_to_path(trusted)
    async with receiving(context) as receiver:
        url = f"https://127.0.0.1:{receiver.port}/"
        for ca_file in (trusted, None):
            sink = EventWebhook(WebhookOptions(url, SECRET, ca_file=ca_file))
            if ca_file is None:
                assert await reason_of(sink) is Reason.UNAVAILABLE
            else:
                await sink.take(BATCH)
            await sink.aclose()
    assert receiver.sessions == ["0", "1", "2"]
