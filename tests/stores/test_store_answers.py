"""What a store, or a proxy before it, says in place of a blob: what it is counted as, and what the client is told."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from obstore import exceptions

from service.mail.patience import Patience
from service.model.refusal import Reason, Refusal
from service.stores.objects import ObjectOptions, open_blobs
from service.stores.objects.errors import kind_of
from tests.stores.test_begun import Counted

PROXY = b"default backend - 404"
GONE = b"<?xml version='1.0'?><Error><Code>NoSuchKey</Code><Message>gone</Message></Error>"


class Answering:
    """Gives each request the next of `answers`, the last one again and again; None is no answer at all."""

    def __init__(self, *answers: tuple[str, bytes] | None) -> None:
        self.answers: Sequence[tuple[str, bytes] | None] = answers
        self.asked: list[str] = []
        self.port = 0

    @asynccontextmanager
    async def listening(self) -> AsyncIterator["Answering"]:
        server = await asyncio.start_server(self._answer, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        answer = self.answers[min(len(self.asked), len(self.answers) - 1)]
        self.asked.append(" ".join(head.split(" ")[:2]))
        if answer is None:
            await asyncio.Event().wait()
        else:
            status, body = answer
            sent = b"" if head.startswith("HEAD") else body
            writer.write(
                f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + sent
            )
            await writer.drain()
        writer.close()


def whole(octets: int) -> tuple[str, bytes]:
    """The answer with all of a blob that has so many."""
    proofs = (
        f'Content-Range: bytes 0-{octets - 1}/{octets}\r\nETag: "x"\r\nLast-Modified: Thu, 26 Nov 2026 12:00:00 GMT'
    )
    return f"206 Partial Content\r\n{proofs}", b"x" * octets


def options(port: int) -> ObjectOptions:
    endpoint = f"http://127.0.0.1:{port}"
    return ObjectOptions(endpoint=endpoint, region="x", access_key="x", secret_key="x", allow_http=True, retries=0)


@pytest.mark.parametrize(
    ("answer", "reason", "kind"),
    [
        (("404 Not Found", GONE), Reason.BROKEN, None),
        (("404 Not Found", PROXY), Reason.UNAVAILABLE, "missing"),
        (("404 Not Found", b""), Reason.UNAVAILABLE, "missing"),
        (("503 Slow Down", b"<Error><Code>SlowDown</Code></Error>"), Reason.UNAVAILABLE, "overload"),
        (("429 Too Many Requests", b""), Reason.UNAVAILABLE, "overload"),
        (("400 Bad Request", b"<Error><Code>ExpiredToken</Code></Error>"), Reason.UNAVAILABLE, "denied"),
        (("500 Internal Server Error", b""), Reason.UNAVAILABLE, "protocol"),
    ],
)
async def test_g14_only_the_store_s_own_word_says_that_a_blob_is_gone(
    answer: tuple[str, bytes], reason: Reason, kind: str | None
) -> None:
    seen = Counted()
    async with asyncio.timeout(30), Answering(answer).listening() as store:
        with pytest.raises(Refusal) as refused:
            await open_blobs("s3://mail/p", options(store.port), seen).read("t/1", 0, 10)
    assert refused.value.reason is reason
    assert seen.kinds == ([kind] if kind else [])
    assert store.asked == ["GET /mail/p/t/1"]


async def test_g1_a_blob_is_deleted_only_once_the_store_says_that_it_is_gone() -> None:
    async with asyncio.timeout(30), Answering(("404 Not Found", PROXY)).listening() as store:
        with pytest.raises(Refusal):
            await open_blobs("s3://mail/p", options(store.port)).delete(["t/1"])


async def test_a_store_that_hangs_longer_than_a_client_waits_is_counted() -> None:
    seen = Counted()
    async with asyncio.timeout(30), Answering(None).listening() as store:
        patience = Patience(0.2)
        with pytest.raises(Refusal):
            async with patience.kept("the text"):
                await open_blobs("s3://mail/p", options(store.port), seen).read("t/1", 0, 10, patience)
    assert (seen.outcomes, seen.kinds) == (["failed"], ["timeout"])


@pytest.mark.parametrize("octets", [10, 100_000])
async def test_g14_one_request_that_is_lost_refuses_nobody_while_the_store_is_well(octets: int) -> None:
    seen = Counted()
    async with asyncio.timeout(30), Answering(None, whole(octets)).listening() as store:
        blobs = open_blobs("s3://mail/p", replace(options(store.port), again_after=0.05), seen)
        assert await blobs.read("t/1", 0, octets, Patience(20.0)) == b"x" * octets
    assert store.asked == ["GET /mail/p/t/1"] * 2
    assert (seen.outcomes, seen.kinds) == (["failed", "ok"], ["timeout"])


async def test_g14_nor_does_one_that_was_begun_ahead() -> None:
    seen = Counted()
    async with asyncio.timeout(30), Answering(None, whole(10)).listening() as store:
        begun = open_blobs("s3://mail/p", replace(options(store.port), again_after=0.05), seen).begin("t/1", 10)
        assert begun is not None
        assert await begun == b"x" * 10
    assert (seen.outcomes, seen.kinds) == (["failed", "ok"], ["timeout"])


async def test_nobody_waits_for_what_the_audit_reads_so_it_is_asked_for_once() -> None:
    async with asyncio.timeout(30), Answering(None, whole(10)).listening() as store:
        late = replace(options(store.port), again_after=0.05, deadline=1.0)
        with pytest.raises(Refusal):
            await open_blobs("s3://mail/p", late).read("t/1", 0, 10)
    assert store.asked.count("GET /mail/p/t/1") == 1


def test_what_a_bulk_delete_tells_of_one_blob_is_understood() -> None:
    assert (
        kind_of(exceptions.GenericError("DeleteObjects failed for key t/1: AccessDenied, Object is locked")) == "denied"
    )
    assert kind_of(exceptions.GenericError("status code: 507, <Code>XMinioStorageFull</Code>")) == "full"


@pytest.mark.parametrize("endpoint", ["https://s3.example:9000/x", "https://mail.s3.example:9000/x"])
def test_a_bucket_in_the_host_s_name_stands_there_once(endpoint: str) -> None:
    hosted = ObjectOptions(endpoint=endpoint, virtual_hosted=True)
    assert hosted.config("s3", "mail")["endpoint"] == "https://mail.s3.example:9000/x"
    assert ObjectOptions(endpoint=endpoint).config("s3", "mail")["endpoint"] == endpoint
    assert "endpoint" not in ObjectOptions(virtual_hosted=True).config("s3", "mail")
