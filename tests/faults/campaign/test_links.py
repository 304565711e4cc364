"""The campaign's own proxy does what its name says, to real servers. F7, F8, F9.

RFC 9112 §6.3 (a body of Content-Length octets).
"""

from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from uuid import uuid4

import asyncpg
import pytest

from service.model.refusal import Reason, Refusal
from service.stores.objects import ObjectBlobStore, open_blobs
from tests.backends.postgres import Postgres
from tests.backends.s3 import BUCKET, S3Server, s3_server
from tests.faults.campaign.harms import (
    AnswerLost,
    Corrupted,
    CorruptedUploads,
    Cut,
    CutInTheBody,
    Exchange,
    Silent,
    Statements,
    Truncated,
    Unavailable,
)
from tests.faults.campaign.links import Harm, Way

__all__ = ["s3_server"]

TEXT = b"Subject: hello\r\n\r\n" + b"0123456789\r\n" * 40_000
KEY = "tenant/2026/11/26/blob"


@pytest.fixture
async def to_store(s3_server: S3Server) -> AsyncIterator[Way]:
    way = Way("front", "store", lambda: s3_server.port, Exchange)
    await way.open()
    yield way
    await way.close()


@pytest.fixture
async def blobs(to_store: Way, s3_server: S3Server) -> ObjectBlobStore:
    """A store behind the way, with a blob in it, that gives up soon."""
    options = replace(s3_server.options, endpoint=f"http://127.0.0.1:{to_store.port}", deadline=2.0, retries=0)
    store = open_blobs(f"s3://{BUCKET}/{uuid4().hex}", options)
    await store.put(KEY, _once(TEXT))
    return store


async def _once(octets: bytes) -> AsyncIterator[bytes]:
    yield octets


async def _read(blobs: ObjectBlobStore) -> bytes:
    return await blobs.read(KEY, 0, len(TEXT))


@pytest.mark.parametrize("harm", [Cut, Silent, Unavailable, CutInTheBody])
async def test_a_harm_to_the_way_is_met_as_an_unavailable_store_and_passes(
    blobs: ObjectBlobStore, to_store: Way, harm: Callable[[], Harm]
) -> None:
    to_store.suffer(harm())
    with pytest.raises(Refusal) as refused:
        await _read(blobs)
    assert refused.value.reason is Reason.UNAVAILABLE
    to_store.mend()
    assert await _read(blobs) == TEXT


async def test_a_truncated_object_comes_as_a_whole_answer_that_is_too_short(
    blobs: ObjectBlobStore, to_store: Way
) -> None:
    to_store.suffer(Truncated())
    assert await _read(blobs) == TEXT[: len(TEXT) // 2]


async def test_a_corrupted_object_has_all_its_octets_and_not_the_same(blobs: ObjectBlobStore, to_store: Way) -> None:
    to_store.suffer(Corrupted())
    found = await _read(blobs)
    assert len(found) == len(TEXT)
    assert found != TEXT


async def test_a_corrupted_upload_is_not_taken(blobs: ObjectBlobStore, to_store: Way, s3_server: S3Server) -> None:
    if s3_server.name == "moto":
        pytest.skip("moto's server checks no checksum")
    to_store.suffer(CorruptedUploads())
    with pytest.raises(Refusal):
        await blobs.put(KEY + "-2", _once(TEXT))
    to_store.mend()
    with pytest.raises(Refusal) as refused:
        await blobs.read(KEY + "-2", 0, len(TEXT))
    assert refused.value.reason is Reason.BROKEN


async def test_a_write_whose_answer_is_lost_is_carried_out(postgres_server: Postgres) -> None:
    dsn = postgres_server.dsn()
    port = int(dsn.rpartition(":")[2].partition("/")[0])
    way = Way("front", "postgres", lambda: port, Statements)
    await way.open()
    connection = await asyncpg.connect(dsn.replace(f":{port}/", f":{way.port}/"), timeout=30)
    await connection.execute("CREATE TABLE remove_messages_of_nobody (a int)")
    way.suffer(AnswerLost(silent=False))
    assert await connection.fetchval("SELECT 1") == 1
    with pytest.raises((asyncpg.PostgresConnectionError, asyncpg.InterfaceError, OSError)):
        await connection.fetch("INSERT INTO remove_messages_of_nobody VALUES ($1)", 1)
    way.mend()
    again = await asyncpg.connect(dsn.replace(f":{port}/", f":{way.port}/"), timeout=30)
    assert await again.fetchval("SELECT count(*) FROM remove_messages_of_nobody") == 1
    await again.execute("DROP TABLE remove_messages_of_nobody")
    await again.close()
    await way.close()
