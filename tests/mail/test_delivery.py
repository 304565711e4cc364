"""Delivery: blobs, then rows, then one outcome a recipient.

RFC 2033 §4.2; RFC 5321 §2.3.1, §4.4 and §6.1; RFC 3848 §1; RFC 5322 §2.1; RFC 9562 §5.7.
"""

import asyncio
import hashlib
import tracemalloc
from collections.abc import AsyncIterator, Sequence
from functools import partial
from uuid import UUID

import pytest

from service.mail.delivery import (
    COPY_OCTETS,
    FIRST_OCTETS,
    HELD_OCTETS,
    LEAST_OCTETS,
    Delivery,
    DeliveryStores,
    Transaction,
)
from service.mail.pipe import BrokenOffError
from service.mail.ports import BlobStore, MessageIndex
from service.mail.shipment import LONG_OCTETS
from service.mail.text_memory import TextMemory
from service.mail.underway import SILENT_SECONDS
from service.model.account import Recipient
from service.model.address import parse_address
from service.model.envelope import Envelope
from service.model.message import NewMessage
from service.model.refusal import Reason, Refusal
from service.settings.behaviour import DELIVERY_LEAST
from service.stores.memory.blobs import MemoryBlobStore
from service.stores.memory.index import MemoryMessageIndex
from tests.mail.provider import Provider

BOUND = 8 * (HELD_OCTETS + COPY_OCTETS)
TEXT = b"Subject: x\r\n\r\n.hello\r\n"


class BlobsThatFail(MemoryBlobStore):
    """Fails for one tenant, after it read everything or at once."""

    def __init__(self, tenant: UUID, reading: bool) -> None:
        super().__init__()
        self._tenant = tenant
        self._reading = reading

    async def put(self, key: str, chunks: AsyncIterator[bytes]) -> None:
        if not key.startswith(self._tenant.hex):
            await super().put(key, chunks)
            return
        if self._reading:
            async for _ in chunks:
                pass
        raise Refusal(Reason.UNAVAILABLE, "down")


class BlobsThatHang(MemoryBlobStore):
    """Reads nothing and never returns; knows of which puts it was relieved."""

    def __init__(self) -> None:
        super().__init__()
        self.given_up: list[str] = []

    async def put(self, key: str, chunks: AsyncIterator[bytes]) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            self.given_up.append(key)


class BlobsThatCount(MemoryBlobStore):
    """Keeps nothing but the digest."""

    def __init__(self) -> None:
        super().__init__()
        self.digests: dict[str, bytes] = {}
        self.widest = 0

    async def put(self, key: str, chunks: AsyncIterator[bytes]) -> None:
        digest = hashlib.sha256()
        async for chunk in chunks:
            digest.update(chunk)
            self.widest = max(self.widest, len(chunk))
            await asyncio.sleep(0)
        self.digests[key] = digest.digest()


class IndexThatFails(MemoryMessageIndex):
    """Loses the answer: what is appended may be there all the same."""

    async def append(self, arrivals: Sequence[tuple[Recipient, NewMessage]]) -> Sequence[Refusal | None]:
        raise Refusal(Reason.UNAVAILABLE, "down")


@pytest.fixture
def provider() -> Provider:
    return Provider()


def delivery(
    provider: Provider, blobs: BlobStore | None = None, index: MessageIndex | None = None, stall: float = 60.0
) -> Delivery:
    stores = DeliveryStores(provider.directory, blobs or provider.blobs, index or provider.index, provider.clock)
    return Delivery(stores, "mx.example", TextMemory(BOUND, patience=0.01), stall)


async def deliver(one: Delivery, addresses: Sequence[str], *pieces: bytes) -> Sequence[Refusal | None]:
    recipients = tuple([await one.resolve(parse_address(address)) for address in addresses])
    envelope = Envelope("sender@b.example", recipients, "client.example", "LMTPS")
    transaction = await one.begin(envelope, "192.0.2.7")
    for piece in pieces:
        if not transaction.offer(piece):
            await transaction.room()
    return await transaction.deliver()


def reasons(outcomes: Sequence[Refusal | None]) -> list[Reason | None]:
    return [outcome.reason if outcome else None for outcome in outcomes]


async def test_a_message_is_listed_with_its_trace(provider: Provider) -> None:
    key = provider.add("u@a.example")
    assert await deliver(delivery(provider), ["u+tag@a.example"], TEXT[:9], TEXT[9:]) == [None]
    (text,) = await provider.texts(key)
    identifier = text.partition(b" id ")[2][:16].decode()
    assert text == (
        b"Delivered-To: u@a.example\r\n"
        b"Return-Path: <sender@b.example>\r\n"
        b"Received: from client.example ([192.0.2.7])\r\n"
        b"\tby mx.example with LMTPS id " + identifier.encode() + b";\r\n"
        b"\tSun, 09 Mar 2025 12:00:00 +0000\r\n" + TEXT
    )


async def test_the_row_says_what_the_blob_is(provider: Provider) -> None:
    key = provider.add("u@a.example")
    await deliver(delivery(provider), ["u@a.example"], TEXT)
    (row,) = provider.rows(key)
    blob = row.message.blob
    stored = await provider.blobs.read(blob.key, 0, blob.octets + 1)
    assert len(stored) == blob.octets
    assert hashlib.sha256(stored).digest() == blob.sha256
    assert stored[: blob.header_octets].endswith(b"\r\n\r\n")
    assert blob.dotted
    assert row.message.received == provider.clock.moment
    assert row.message.unique_id.version == 7
    assert blob.key.startswith(f"{key.tenant_id.hex}/2025/03/09/")


@pytest.mark.parametrize(
    ("client", "shown"),
    [("2001:db8::1", b"([IPv6:2001:db8::1])"), ("fe80::1%eth0", b"([IPv6:fe80::1])"), ("", b"client.example\r\n")],
)
async def test_the_trace_names_the_client(provider: Provider, client: str, shown: bytes) -> None:
    key = provider.add("u@a.example")
    one = delivery(provider)
    envelope = Envelope("", (await one.resolve(parse_address("u@a.example")),), "client.example", "LMTP")
    await (await one.begin(envelope, client)).deliver()
    (text,) = await provider.texts(key)
    assert shown in text
    assert b"Return-Path: <>\r\n" in text


async def test_an_empty_message_is_one_empty_line_after_its_trace(provider: Provider) -> None:
    key = provider.add("u@a.example")
    await deliver(delivery(provider), ["u@a.example"])
    (text,) = await provider.texts(key)
    assert text.endswith(b"+0000\r\n\r\n")


async def test_a_missing_line_end_is_repaired(provider: Provider) -> None:
    key = provider.add("u@a.example")
    await deliver(delivery(provider), ["u@a.example"], b"\r\na\nb")
    assert (await provider.texts(key))[0].endswith(b"\r\n\r\na\r\nb\r\n")


async def test_one_blob_serves_the_recipients_of_a_tenant(provider: Provider) -> None:
    keys = [provider.add(name) for name in ("u@a.example", "v@a.example", "w@b.example")]
    outcomes = await deliver(delivery(provider), ["u@a.example", "v@a.example", "w@b.example"], TEXT)
    assert outcomes == [None, None, None]
    blobs = [row.message.blob for key in keys for row in provider.rows(key)]
    assert blobs[0] == blobs[1]
    assert blobs[0].key != blobs[2].key
    assert len(await provider.keys()) == 2
    texts = [text for key in keys for text in await provider.texts(key)]
    assert [text.partition(b"\r\n")[0] for text in texts] == [
        b"Delivered-To: u@a.example",
        b"Delivered-To: v@a.example",
        b"Delivered-To: w@b.example",
    ]
    assert len({row.message.unique_id for key in keys for row in provider.rows(key)}) == 3


async def test_a_maildrop_named_twice_gets_one_copy_and_two_outcomes(provider: Provider) -> None:
    key = provider.add("u@a.example")
    provider.alias("other@a.example", key)
    assert await deliver(delivery(provider), ["u@a.example", "other@a.example", "u@a.example"], TEXT) == [None] * 3
    assert len(provider.rows(key)) == 1


async def test_a_catch_all_keeps_the_address_it_stood_in_for(provider: Provider) -> None:
    key = provider.add("u@a.example")
    provider.alias("@a.example", key)
    await deliver(delivery(provider), ["whoever@a.example"], TEXT)
    assert (await provider.texts(key))[0].startswith(b"Delivered-To: whoever@a.example\r\n")


async def test_each_address_that_a_catch_all_stands_in_for_gets_a_copy_with_its_own_outcome(provider: Provider) -> None:
    key = provider.add("u@a.example", quota_messages=2)
    provider.alias("@a.example", key)
    named = ["kim@a.example", "lee@a.example", "Kim+list@a.example", "u@a.example"]
    assert reasons(await deliver(delivery(provider), named, TEXT)) == [None, None, None, Reason.OVER_QUOTA]
    assert [text.partition(b"\r\n")[0] for text in await provider.texts(key)] == [
        b"Delivered-To: kim@a.example",
        b"Delivered-To: lee@a.example",
    ]
    assert len(await provider.keys()) == 1


async def test_each_recipient_has_its_own_outcome(provider: Provider) -> None:
    provider.add("small@a.example", quota_octets=10)
    key = provider.add("full@a.example", quota_messages=1)
    provider.add("good@a.example")
    one = delivery(provider)
    recipients = [await one.resolve(parse_address(f"{name}@a.example")) for name in ("small", "full", "good")]
    await deliver(one, ["full@a.example"], TEXT)
    transaction = await one.begin(Envelope("", tuple(recipients), "x", "LMTP"), "192.0.2.7")
    assert reasons(await transaction.deliver()) == [Reason.NEVER_FITS, Reason.OVER_QUOTA, None]
    assert len(provider.rows(key)) == 1


async def test_a_blob_that_every_recipient_refused_is_deleted(provider: Provider) -> None:
    provider.add("small@a.example", quota_octets=10)
    assert reasons(await deliver(delivery(provider), ["small@a.example"], TEXT)) == [Reason.NEVER_FITS]
    assert await provider.keys() == []


@pytest.mark.parametrize("reading", [True, False])
async def test_a_store_failure_concerns_its_tenant_alone(provider: Provider, reading: bool) -> None:
    key = provider.add("u@a.example")
    other = provider.add("v@b.example")
    blobs = provider.blobs = BlobsThatFail(key.tenant_id, reading)
    outcomes = await deliver(delivery(provider, blobs), ["u@a.example", "v@b.example"], *[TEXT * 20000] * 20)
    assert reasons(outcomes) == [Reason.UNAVAILABLE, None]
    assert provider.rows(key) == []
    assert len(await provider.texts(other)) == 1


@pytest.mark.parametrize("octets", [len(TEXT), LONG_OCTETS, 9 * HELD_OCTETS])
@pytest.mark.parametrize("addresses", [["u@a.example"], ["u@a.example", "v@b.example"]], ids=["one", "two tenants"])
async def test_a_hanging_store_is_given_up(provider: Provider, addresses: Sequence[str], octets: int) -> None:
    for address in addresses:
        provider.add(address)
    blobs = BlobsThatHang()
    one = delivery(provider, blobs, stall=0.01)
    pieces = [b"x" * min(octets, HELD_OCTETS // 2)] * max(1, 2 * octets // HELD_OCTETS)
    assert reasons(await deliver(one, addresses, *pieces)) == [Reason.UNAVAILABLE] * len(addresses)
    assert len(set(blobs.given_up)) == len(blobs.given_up) == len(addresses)


@pytest.mark.parametrize("addresses", [["u@a.example"], ["u@a.example", "v@b.example"]], ids=["one", "two tenants"])
async def test_g15_a_hanging_store_is_given_up_while_its_text_still_comes(
    provider: Provider, addresses: Sequence[str]
) -> None:
    for address in addresses:
        provider.add(address)
    blobs = BlobsThatHang()
    one = delivery(provider, blobs, stall=0.01)
    recipients = tuple([await one.resolve(parse_address(address)) for address in addresses])
    transaction = await one.begin(Envelope("", recipients, "x", "LMTP"), "192.0.2.7")
    assert not transaction.offer(b"x" * HELD_OCTETS)
    await transaction.room()
    await asyncio.sleep(0)
    assert len(blobs.given_up) == len(addresses)
    # Nothing is held of the rest, so that there is room for all of it.
    assert all(transaction.offer(b"x" * HELD_OCTETS) for _ in range(3))
    assert reasons(await transaction.deliver()) == [Reason.UNAVAILABLE] * len(addresses)


async def test_an_unknown_outcome_of_the_rows_keeps_the_blob(provider: Provider) -> None:
    provider.add("u@a.example")
    outcomes = await deliver(delivery(provider, index=IndexThatFails(provider.state)), ["u@a.example"], TEXT)
    assert reasons(outcomes) == [Reason.UNAVAILABLE]
    assert len(await provider.keys()) == 1


async def test_an_abandoned_text_leaves_nothing_g09(provider: Provider) -> None:
    key = provider.add("u@a.example")
    one = delivery(provider)
    envelope = Envelope("", (await one.resolve(parse_address("u@a.example")),), "x", "LMTP")
    transaction = await one.begin(envelope, "192.0.2.7")
    transaction.offer(TEXT)
    await asyncio.sleep(0)
    await transaction.abandon()
    assert provider.rows(key) == []
    assert await provider.keys() == []


async def grown(one: Delivery, envelope: Envelope) -> Transaction:
    """A transaction that has come to hold all that it may."""
    transaction = await one.begin(envelope, "192.0.2.7")
    transaction.offer(b"x" * (FIRST_OCTETS + 1))
    try:
        await transaction.room()
    except Refusal:
        await transaction.abandon()
        raise
    return transaction


async def test_texts_over_the_budget_are_refused_and_its_octets_come_back(provider: Provider) -> None:
    provider.add("u@a.example")
    one = delivery(provider)
    envelope = Envelope("", (await one.resolve(parse_address("u@a.example")),), "x", "LMTP")
    transactions = [await grown(one, envelope) for _ in range(4)]
    with pytest.raises(Refusal) as refused:
        await grown(one, envelope)
    assert refused.value.reason is Reason.OVERLOADED
    for at, transaction in enumerate(transactions):
        await (transaction.deliver() if at % 2 else transaction.abandon())
    assert await deliver(one, ["u@a.example"], TEXT) == [None]


async def test_texts_that_were_declared_small_take_little_of_the_budget(provider: Provider) -> None:
    provider.add("u@a.example")
    one = delivery(provider)
    recipients = (await one.resolve(parse_address("u@a.example")),)
    envelope = Envelope("", recipients, "x", "LMTP", declared_octets=1000)
    transactions = [await one.begin(envelope, "192.0.2.7") for _ in range(100)]
    for transaction in transactions:
        await transaction.abandon()
    assert one._memory.used == 0


async def test_a_text_longer_than_declared_takes_its_whole_share_or_is_refused(provider: Provider) -> None:
    """RFC 1870 §6.3: SIZE may be smaller than the text, which may then find no memory."""
    provider.add("u@a.example")
    one = delivery(provider)
    recipients = (await one.resolve(parse_address("u@a.example")),)
    small = Envelope("", recipients, "x", "LMTP", declared_octets=1)
    liar = await one.begin(small, "192.0.2.7")
    while liar.offer(b"x" * 4096):
        pass
    assert liar.octets < HELD_OCTETS // 8
    others = [await grown(one, small) for _ in range(3)]
    await liar.room()
    assert liar.offer(b"x" * 4096)
    second, third = [await one.begin(small, "192.0.2.7") for _ in range(2)]
    assert not second.offer(b"x" * HELD_OCTETS)
    with pytest.raises(Refusal) as refused:
        await second.room()
    assert refused.value.reason is Reason.OVERLOADED
    for transaction in (liar, second, third, *others):
        await transaction.abandon()
    assert one._memory.used == 0


async def test_g15_a_text_that_waits_for_memory_is_not_silent_and_one_that_need_not_is(provider: Provider) -> None:
    provider.add("u@a.example")
    stores = DeliveryStores(provider.directory, provider.blobs, provider.index, provider.clock)
    one = Delivery(stores, "mx.example", TextMemory(LEAST_OCTETS, patience=60.0))
    envelope = Envelope("", (await one.resolve(parse_address("u@a.example")),), "x", "LMTP")
    shed: list[str] = []
    first, second = [await one.begin(envelope, "192.0.2.7", partial(shed.append, name)) for name in ("first", "second")]
    for transaction in (first, second):
        assert not transaction.offer(b"x" * (FIRST_OCTETS + 1))
    await first.room()
    waiting = asyncio.create_task(second.room())
    async with asyncio.timeout(10):
        while not one._memory.waiting:  # noqa: ASYNC110
            await asyncio.sleep(0)
    # The first one was heard later, but nothing keeps it from going on.
    provider.clock.seconds += 1
    assert first.offer(b"x")
    provider.clock.seconds += SILENT_SECONDS
    await one.underway.make_room()
    assert shed == ["first"]
    await first.abandon()
    await waiting
    await second.abandon()
    assert one._memory.used == 0


@pytest.mark.parametrize("declared", [None, 2 * COPY_OCTETS])
async def test_a_text_fits_into_the_least_memory_that_the_settings_take(
    provider: Provider, declared: int | None
) -> None:
    assert LEAST_OCTETS == DELIVERY_LEAST
    provider.add("u@a.example")
    stores = DeliveryStores(provider.directory, BlobsThatCount(), provider.index, provider.clock)
    one = Delivery(stores, "mx.example", TextMemory(LEAST_OCTETS, patience=0.01))
    recipients = (await one.resolve(parse_address("u@a.example")),)
    transaction = await one.begin(Envelope("", recipients, "x", "LMTP", declared_octets=declared), "192.0.2.7")
    for _ in range(20):
        if not transaction.offer(b"x" * HELD_OCTETS):
            await transaction.room()
    assert await transaction.deliver() == [None]
    assert one._memory.used == 0


async def test_g15_large_texts_that_begin_all_at_once_come_to_their_end_one_after_the_other(provider: Provider) -> None:
    provider.add("u@a.example")
    stores = DeliveryStores(provider.directory, BlobsThatCount(), provider.index, provider.clock)
    one = Delivery(stores, "mx.example", TextMemory(1 << 28))
    recipients = (await one.resolve(parse_address("u@a.example")),)
    envelope = Envelope("", recipients, "x", "LMTP", declared_octets=10_000_000)
    begun = [await one.begin(envelope, "192.0.2.7") for _ in range(256)]
    late = asyncio.create_task(one.begin(envelope, "192.0.2.7"))
    await asyncio.sleep(0)
    assert one._memory.waiting == 1

    async def go_on(transaction: Transaction) -> Sequence[Refusal | None]:
        transaction.offer(b"x" * 2 * FIRST_OCTETS)
        await transaction.room()
        return await transaction.deliver()

    async with asyncio.timeout(20):
        assert await asyncio.gather(*map(go_on, begun)) == [[None]] * 256
        await (await late).abandon()
    assert one._memory.used == 0


@pytest.mark.parametrize("declared", [None, 50_000_000])
async def test_g15_who_has_sent_nothing_keeps_little_from_others(provider: Provider, declared: int | None) -> None:
    """RFC 1870 §6.3: what a client says of the size it need not send."""
    provider.add("u@a.example")
    one = delivery(provider)
    recipients = (await one.resolve(parse_address("u@a.example")),)
    envelope = Envelope("", recipients, "x", "LMTP", declared_octets=declared)
    stopped = [await one.begin(envelope, "192.0.2.7") for _ in range(100)]
    assert one._memory.used == 100 * 2 * FIRST_OCTETS
    for transaction in stopped:
        await transaction.abandon()


async def test_a_large_text_never_sits_in_memory(provider: Provider) -> None:
    keys = [provider.add("u@a.example"), provider.add("v@b.example")]
    blobs = BlobsThatCount()
    piece = b"x" * 65534 + b"\r\n"
    tracemalloc.start()
    try:
        assert await deliver(delivery(provider, blobs), ["u@a.example", "v@b.example"], *[piece] * 800) == [None, None]
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 8 * HELD_OCTETS
    assert blobs.widest <= 65536
    rows = [row for key in keys for row in provider.rows(key)]
    assert [blobs.digests[row.message.blob.key] for row in rows] == [row.message.blob.sha256 for row in rows]


async def test_a_slow_store_holds_the_sender_back(provider: Provider) -> None:
    key = provider.add("u@a.example")
    one = delivery(provider, BlobsThatHang(), stall=30)
    envelope = Envelope("", (await one.resolve(parse_address("u@a.example")),), "x", "LMTP")
    transaction = await grown(one, envelope)
    offered = [transaction.offer(b"x" * 65536) for _ in range(13)]
    assert offered == [True] * 11 + [False] * 2
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(transaction.room(), 0.01)
    assert provider.rows(key) == []


async def test_reading_a_broken_off_pipe_raises(provider: Provider) -> None:
    seen: list[type[BaseException]] = []

    class Watching(MemoryBlobStore):
        async def put(self, key: str, chunks: AsyncIterator[bytes]) -> None:
            try:
                await super().put(key, chunks)
            except BrokenOffError as error:
                seen.append(type(error))
                raise

    provider.add("u@a.example")
    one = delivery(provider, Watching())
    envelope = Envelope("", (await one.resolve(parse_address("u@a.example")),), "x", "LMTP")
    transaction = await one.begin(envelope, "192.0.2.7")
    # Long enough for the store to read while the text still comes.
    transaction.offer(TEXT + b"x" * LONG_OCTETS)
    await asyncio.sleep(0)
    await transaction.abandon()
    assert seen == [BrokenOffError]


async def test_a_short_text_that_is_given_up_never_meets_the_store(provider: Provider) -> None:
    put: list[str] = []

    class Watching(MemoryBlobStore):
        async def put(self, key: str, chunks: AsyncIterator[bytes]) -> None:
            put.append(key)

    provider.add("u@a.example")
    one = delivery(provider, Watching())
    envelope = Envelope("", (await one.resolve(parse_address("u@a.example")),), "x", "LMTP")
    transaction = await one.begin(envelope, "192.0.2.7")
    transaction.offer(TEXT)
    await transaction.abandon()
    assert put == []
