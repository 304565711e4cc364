"""Delivery, import and sweep over a real Postgres, a directory and a real S3 server. RFC 2033 §4.2, RFC 1939 §7."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from service.mail.delivery import Delivery, DeliveryStores, Transaction
from service.mail.importing import Import, import_recipient, open_archive
from service.mail.ports import BlobStore
from service.mail.sweep import Sweep, SweepReport
from service.mail.text_memory import TextMemory
from service.model.account import MaildropKey
from service.model.address import parse_address
from service.model.envelope import Envelope
from service.stores.objects import open_blobs
from service.stores.postgres.index import KNOWN, TAKEN
from tests.backends.s3 import s3_server, s3_url_and_options
from tests.stores.worlds import PostgresWorld, World, deliver, message, one_maildrop

__all__ = ["s3_server", "s3_url_and_options"]

FENCE = bytes(16)
MBOX = b"".join(b"From x Sun Mar  9 12:00:00 2025\nX-UIDL: id%d\n\n.%d\n\n" % (n, n) for n in range(20))


@dataclass
class MovedClock:
    """The real time, moved."""

    by: timedelta = timedelta()

    def now(self) -> datetime:
        return datetime.now(UTC) + self.by

    def monotonic(self) -> float:
        return 0.0


@dataclass
class House:
    """One maildrop over real stores."""

    world: PostgresWorld
    blobs: BlobStore
    key: MaildropKey

    async def begin(self) -> Transaction:
        stores = DeliveryStores(self.world.directory, self.blobs, self.world.index, MovedClock())
        recipient = await self.world.directory.resolve(parse_address("alice@acme.example"))
        return await Delivery(stores, "mx.example", TextMemory(1 << 28)).begin(
            Envelope("", (recipient,), "x", "LMTP"), ""
        )

    async def texts(self) -> list[bytes]:
        """What RETR would send of each listed message."""
        listing = await self.world.index.listing(self.key, await self.world.index.open(self.key, FENCE))
        placed = await self.world.index.locate(self.key, listing.sequences)
        each = [placed[sequence] for sequence in listing.sequences]
        return [one.trace + await self.blobs.read(one.blob.key, 0, one.blob.octets) for one in each]

    async def remove_all(self, ago: timedelta) -> None:
        listing = await self.world.index.listing(self.key, await self.world.index.open(self.key, FENCE))
        await self.world.index.remove(self.key, FENCE, listing.sequences)
        await self.world.backdate_removals(datetime.now(UTC) - ago)

    async def keys(self) -> list[str]:
        return [blob.key async for blob in self.blobs.scan("")]

    def sweep(self, clock: MovedClock | None = None) -> Sweep:
        return Sweep(self.world.sweepable, self.blobs, clock or MovedClock())


@pytest.fixture(params=["directory", "s3"])
async def house(request: pytest.FixtureRequest, postgres_world: PostgresWorld, tmp_path: Path) -> House:
    blobs: BlobStore = open_blobs(f"file://{tmp_path}/blobs")
    if request.param == "s3":
        url, options = request.getfixturevalue("s3_url_and_options")
        blobs = open_blobs(url, options)
    return House(postgres_world, blobs, await one_maildrop(postgres_world))


async def test_what_is_delivered_is_read_back(house: House) -> None:
    transaction = await house.begin()
    piece = b"x" * 65534 + b"\r\n"
    for _ in range(200):
        if not transaction.offer(piece):
            await transaction.room()
    assert await transaction.deliver() == [None]
    (text,) = await house.texts()
    assert text.startswith(b"Delivered-To: alice@acme.example\r\nReturn-Path: <>\r\n")
    assert text.endswith(b"+0000\r\n" + piece * 200)


@pytest.mark.parametrize("pieces", [0, 1, 200])
async def test_an_abandoned_text_leaves_no_blob(house: House, pieces: int) -> None:
    transaction = await house.begin()
    for _ in range(pieces):
        if not transaction.offer(b"x" * 65536):
            await transaction.room()
    await transaction.abandon()
    assert await house.keys() == []
    assert await house.texts() == []


async def test_an_import_is_run_twice(house: House, tmp_path: Path) -> None:
    (tmp_path / "mbox").write_bytes(MBOX)
    recipient = await import_recipient(house.world.directory, "alice@acme.example")
    for known in (False, True):
        run = Import(house.world.index, house.blobs, MovedClock(), recipient)
        assert {one.known async for one in run.run(open_archive(tmp_path / "mbox"))} == {known}
    assert await house.texts() == [b"X-UIDL: id%d\r\n\r\n.%d\r\n" % (n, n) for n in range(20)]
    assert len(await house.keys()) == 20


async def test_the_sweep_deletes_what_was_removed_and_what_nobody_names(house: House) -> None:
    for _ in range(3):
        await (await house.begin()).deliver()
    own = (await house.keys())[0].partition("/")[0]
    orphan, foreign = (f"{tenant}/{datetime.now(UTC):%Y/%m/%d}/{'1' * 32}" for tenant in (own, "f" * 32))
    for key in (orphan, foreign):
        await house.blobs.put(key, _once(b"x"))
    assert await house.sweep()() == SweepReport(0, 0, 0, 0, 0, strangers=1)
    tomorrow = MovedClock(timedelta(hours=25))
    assert await house.sweep(tomorrow)() == SweepReport(0, 0, 0, orphans=1, backlog=0, strangers=1)
    await house.remove_all(timedelta(days=6))
    assert await house.sweep()() == SweepReport(0, 0, 0, 0, 0, strangers=1)
    await house.world.backdate_removals(datetime.now(UTC) - timedelta(days=8))
    assert await house.sweep()() == SweepReport(0, messages=3, blobs=3, orphans=0, backlog=0, strangers=1)
    assert await house.keys() == [foreign]


async def test_messages_are_known_by_their_unique_ids_removed_or_not(world: World) -> None:
    key = await one_maildrop(world)
    listed, removed, other = message(), message(), message()
    await deliver(world, key, listed, removed)
    await world.index.open(key, FENCE)
    await world.index.remove(key, FENCE, [2])
    asked = [listed.unique_id, removed.unique_id, other.unique_id]
    assert await world.index.known(key, asked) == {listed.unique_id, removed.unique_id}
    assert await world.index.known(key, []) == set()


async def test_unique_ids_are_taken_as_uidl_tells_them_removed_or_not(world: World) -> None:
    """G7: a kept one stands in the place of the message's own."""
    tenant = await world.tenant("acme")
    await world.domain(tenant, "acme.example")
    key, other = [await world.maildrop(tenant, f"{name}@acme.example") for name in ("alice", "bob")]
    own, kept, removed = message(), message(imported_unique_id="kept"), message(imported_unique_id="removed")
    await deliver(world, key, own, kept, removed)
    await deliver(world, other, message(imported_unique_id="elsewhere"))
    await world.index.open(key, FENCE)
    await world.index.remove(key, FENCE, [3])
    assert await world.index.taken(key) == {"kept", "removed", own.unique_id.hex}


async def test_an_import_needs_no_more_rights_than_a_delivery(postgres_world: PostgresWorld) -> None:
    key = await one_maildrop(postgres_world)
    kept = message(imported_unique_id="kept")
    await deliver(postgres_world, key, kept)
    async with postgres_world.owner.transaction():
        await postgres_world.owner.execute("SET LOCAL ROLE poplar_lmtp")
        rows = await postgres_world.owner.fetch(KNOWN, key.tenant_id, key.maildrop_id, [kept.unique_id])
        taken = await postgres_world.owner.fetch(TAKEN, key.tenant_id, key.maildrop_id)
    assert [row[0] for row in rows] == [kept.unique_id]
    assert [row[0] for row in taken] == ["kept"]


async def _once(octets: bytes) -> AsyncIterator[bytes]:
    yield octets
