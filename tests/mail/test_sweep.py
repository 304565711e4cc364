"""The sweep: what expires, what is deleted for good, and what never is. RFC 2449 §6.7."""

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from service.mail.delivery import Delivery, DeliveryStores
from service.mail.ports import Expired, StoredBlob
from service.mail.sweep import Sweep, SweepReport, SweepRules, SweepTold
from service.mail.tenants_stored import tenants_stored
from service.mail.text_memory import TextMemory
from service.model.account import MaildropKey
from service.model.address import parse_address
from service.model.envelope import Envelope
from service.model.refusal import Reason, Refusal
from service.model.tenancy import AuditEntry
from service.stores.memory.blobs import MemoryBlobStore
from service.stores.memory.sweep import MemorySweepable
from tests.mail.provider import Provider

DAY = timedelta(days=1)
MOMENT = datetime(2025, 3, 9, 15, 0, 0, tzinfo=UTC)


class AgedBlobs(MemoryBlobStore):
    """Each blob is as old as its key says, written at noon, unless `written` tells otherwise."""

    scanned: int = 0

    def __init__(self) -> None:
        super().__init__()
        self.written: dict[str, datetime] = {}

    async def scan(self, prefix: str, after: str = "") -> AsyncIterator[StoredBlob]:
        async for blob in super().scan(prefix, after):
            self.scanned += 1
            noon = datetime.strptime(blob.key[33:43], "%Y/%m/%d").replace(tzinfo=UTC) + timedelta(hours=12)
            yield StoredBlob(blob.key, blob.octets, self.written.get(blob.key, noon))


class BlobsThatCannotDelete(MemoryBlobStore):
    """Refuses to delete."""

    async def delete(self, keys: Sequence[str]) -> None:
        raise Refusal(Reason.UNAVAILABLE, "down")


class RowsThatCannotForget(MemorySweepable):
    """Fails between the blobs and the rows."""

    async def forget(self, expired: Sequence[Expired]) -> None:
        raise Refusal(Reason.UNAVAILABLE, "down")


@pytest.fixture
def provider() -> Provider:
    provider = Provider(blobs=AgedBlobs())
    provider.clock.moment = MOMENT
    provider.state.now = provider.clock.now
    return provider


async def deliver(provider: Provider, *addresses: str) -> None:
    stores = DeliveryStores(provider.directory, provider.blobs, provider.index, provider.clock)
    delivery = Delivery(stores, "mx.example", TextMemory(1 << 24))
    recipients = tuple([await delivery.resolve(parse_address(address)) for address in addresses])
    transaction = await delivery.begin(Envelope("", recipients, "x", "LMTP"), "192.0.2.7")
    assert not any(await transaction.deliver())


def sweep(provider: Provider, batch: int = 500) -> Sweep:
    return Sweep(provider.sweepable, provider.blobs, provider.clock, SweepRules(batch=batch))


async def put(provider: Provider, key: str) -> None:
    async def text() -> AsyncIterator[bytes]:
        yield b"orphan\r\n"

    await provider.blobs.put(key, text())


def remember_removed(provider: Provider) -> str:
    """A tenant that was removed, of which the audit alone is left; the first word of its keys."""
    tenant = UUID("f" * 32)
    provider.state.audit.append((tenant, AuditEntry(provider.clock.now(), "staff", "tenant.remove", "gone")))
    return tenant.hex


def removed(provider: Provider, key: MaildropKey, ago: timedelta) -> None:
    provider.remove(key, provider.clock.moment - ago)


@pytest.mark.parametrize("batch", [1, 2, 500])
async def test_a_message_removed_longer_ago_than_the_retention_is_deleted(provider: Provider, batch: int) -> None:
    key = provider.add("u@a.example")
    for _ in range(5):
        await deliver(provider, "u@a.example")
    removed(provider, key, 8 * DAY)
    assert await sweep(provider, batch)() == SweepReport(expired=0, messages=5, blobs=5, orphans=0, backlog=0)
    assert provider.rows(key) == []
    assert await provider.keys() == []


async def test_a_message_removed_within_the_retention_stays(provider: Provider) -> None:
    key = provider.add("u@a.example")
    await deliver(provider, "u@a.example")
    removed(provider, key, 6 * DAY)
    assert await sweep(provider)() == SweepReport(0, 0, 0, 0, 0)
    assert len(provider.rows(key)) == len(await provider.keys()) == 1


async def test_a_listed_message_stays_whatever_its_age_g1(provider: Provider) -> None:
    key = provider.add("u@a.example")
    provider.clock.move(days=-400)
    await deliver(provider, "u@a.example")
    provider.clock.move(days=400)
    assert await sweep(provider)() == SweepReport(0, 0, 0, 0, 0)
    assert len(await provider.texts(key)) == 1


@pytest.mark.parametrize("batch", [1, 500])
async def test_a_blob_that_another_recipient_still_lists_stays(provider: Provider, batch: int) -> None:
    gone, kept = provider.add("u@a.example"), provider.add("v@a.example")
    await deliver(provider, "u@a.example", "v@a.example")
    removed(provider, gone, 8 * DAY)
    assert await sweep(provider, batch)() == SweepReport(0, messages=1, blobs=0, orphans=0, backlog=0)
    assert len(await provider.texts(kept)) == 1
    removed(provider, kept, 8 * DAY)
    assert await sweep(provider, batch)() == SweepReport(0, messages=1, blobs=1, orphans=0, backlog=0)
    assert await provider.keys() == []


@pytest.mark.parametrize("batch", [1, 500])
async def test_a_message_past_its_maildrops_expiry_is_removed_and_kept_for_the_retention(
    provider: Provider, batch: int
) -> None:
    key = provider.add("u@a.example", expire_days=30)
    provider.clock.move(days=-31)
    for _ in range(3):
        await deliver(provider, "u@a.example")
    provider.clock.move(days=31)
    await deliver(provider, "u@a.example")
    assert await sweep(provider, batch)() == SweepReport(expired=3, messages=0, blobs=0, orphans=0, backlog=0)
    assert len(await provider.texts(key)) == 1
    assert len(await provider.keys()) == 4


async def test_a_store_that_cannot_delete_keeps_the_rows(provider: Provider) -> None:
    provider.blobs = BlobsThatCannotDelete()
    key = provider.add("u@a.example")
    await deliver(provider, "u@a.example")
    removed(provider, key, 8 * DAY)
    with pytest.raises(Refusal):
        await sweep(provider)()
    assert len(provider.rows(key)) == 1


class HoldingBlobs(AgedBlobs):
    """Some stay, as under a legal hold, of which a bulk delete fails as a whole; each delete takes `seconds`."""

    def __init__(self, provider: Provider, seconds: float = 0.0) -> None:
        super().__init__()
        self.held: set[str] = set()
        self.asked = 0
        self._clock, self._seconds = provider.clock, seconds

    async def delete(self, keys: Sequence[str]) -> None:
        self.asked += 1
        self._clock.seconds += self._seconds
        if self.held.intersection(keys):
            raise Refusal(Reason.UNAVAILABLE, "objects: denied")
        await super().delete(keys)


@pytest.mark.parametrize("batch", [1, 2, 500])
async def test_a_blob_that_the_store_keeps_holds_up_no_other(provider: Provider, batch: int) -> None:
    provider.blobs = blobs = HoldingBlobs(provider)
    key = provider.add("u@a.example")
    for _ in range(5):
        await deliver(provider, "u@a.example")
    removed(provider, key, 8 * DAY)
    orphans = [f"{key.tenant_id.hex}/2025/03/07/{n * 32}" for n in "123"]
    for orphan in orphans:
        await put(provider, orphan)
    first, *_ = sorted(await provider.keys())[3:]
    blobs.held = {first, orphans[0]}
    kept: list[str] = []
    told = SweepTold(kept=lambda blob, _: kept.append(blob))
    sweeper = Sweep(provider.sweepable, blobs, provider.clock, SweepRules(batch=batch), told)
    with pytest.raises(Refusal, match="denied"):
        await sweeper()
    assert sorted(kept) == sorted(await provider.keys()) == sorted(blobs.held)
    assert [row.message.blob.key for row in provider.rows(key)] == [first]
    blobs.held.clear()
    report = await sweeper()
    assert (report.messages, report.orphans, await provider.keys()) == (1, 1, [])


@pytest.mark.parametrize("batch", [1, 2, 500])
async def test_a_store_that_is_away_is_not_asked_for_long(provider: Provider, batch: int) -> None:
    provider.blobs = blobs = HoldingBlobs(provider, seconds=10.0)
    key = provider.add("u@a.example")
    for _ in range(50):
        await deliver(provider, "u@a.example")
    removed(provider, key, 8 * DAY)
    blobs.held = set(await provider.keys())
    with pytest.raises(Refusal):
        await sweep(provider, batch)()
    assert blobs.asked < 12
    assert len(provider.rows(key)) == 50


@pytest.mark.parametrize("other", ["v@a.example", "u@b.example"])
async def test_a_hold_on_much_mail_holds_up_no_other_though_it_is_the_oldest(provider: Provider, other: str) -> None:
    provider.blobs = blobs = HoldingBlobs(provider, seconds=0.9)
    held, free = provider.add("u@a.example"), provider.add(other)
    for _ in range(220):
        await deliver(provider, "u@a.example")
    removed(provider, held, 9 * DAY)
    blobs.held = set(await provider.keys())
    for _ in range(60):
        await deliver(provider, other)
    removed(provider, free, 8 * DAY)
    await put(provider, orphan := f"{free.tenant_id.hex}/2025/03/07/{'1' * 32}")
    with pytest.raises(Refusal, match="denied"):
        await sweep(provider, batch=50)()
    assert not provider.rows(free)
    assert orphan not in await provider.keys()
    assert len(provider.rows(held)) == 220


async def test_beside_a_hold_on_most_of_a_batch_what_one_sweep_does_not_try_a_later_one_does(
    provider: Provider,
) -> None:
    provider.blobs = blobs = HoldingBlobs(provider, seconds=0.1)
    held, free = provider.add("u@a.example"), provider.add("v@a.example")
    for _ in range(200):
        await deliver(provider, "u@a.example")
    blobs.held = set(await provider.keys())
    await deliver(provider, "v@a.example")
    for key in (held, free):
        removed(provider, key, 8 * DAY)
    for _ in range(200):
        if provider.rows(free):
            before = blobs.asked
            with pytest.raises(Refusal):
                await sweep(provider)()
            assert blobs.asked - before <= 102
    assert not provider.rows(free)


async def test_a_store_that_refuses_everything_at_once_is_not_asked_for_long(provider: Provider) -> None:
    provider.blobs = blobs = HoldingBlobs(provider, seconds=0.9)
    key = provider.add("u@a.example")
    for _ in range(1000):
        await deliver(provider, "u@a.example")
    removed(provider, key, 8 * DAY)
    blobs.held = set(await provider.keys())
    with pytest.raises(Refusal):
        await sweep(provider, batch=25)()
    assert blobs.asked < 700


async def test_what_a_sweep_deleted_before_it_failed_is_counted(provider: Provider) -> None:
    class Rows(MemorySweepable):
        async def known(self, tenant_ids: Sequence[UUID]) -> set[UUID]:
            raise Refusal(Reason.UNAVAILABLE, "down")

    key = provider.add("u@a.example")
    for _ in range(3):
        await deliver(provider, "u@a.example")
    removed(provider, key, 8 * DAY)
    await put(provider, f"{key.tenant_id.hex}/2025/03/07/{'1' * 32}")
    counted: list[tuple[int, int, int]] = []
    told = SweepTold(deleted=lambda *each: counted.append(each))
    sweeper = Sweep(Rows(provider.state), provider.blobs, provider.clock, SweepRules(batch=2), told)
    with pytest.raises(Refusal):
        await sweeper()
    assert counted == [(2, 2, 0), (1, 1, 0)]
    sweeper = Sweep(provider.sweepable, provider.blobs, provider.clock, told=told)
    await sweeper()
    assert counted[2:] == [(0, 0, 1)]


async def test_a_crash_between_blob_and_row_is_made_good_by_the_next_sweep(provider: Provider) -> None:
    key = provider.add("u@a.example")
    await deliver(provider, "u@a.example")
    removed(provider, key, 8 * DAY)
    with pytest.raises(Refusal):
        await Sweep(RowsThatCannotForget(provider.state), provider.blobs, provider.clock)()
    assert await provider.keys() == []
    assert (await sweep(provider)()).messages == 1
    assert provider.rows(key) == []


async def test_two_sweeps_at_once_do_no_harm(provider: Provider) -> None:
    gone, kept = provider.add("u@a.example"), provider.add("v@a.example")
    await deliver(provider, "u@a.example")
    await deliver(provider, "v@a.example")
    removed(provider, gone, 8 * DAY)
    first, second = sweep(provider), sweep(provider)
    await first()
    assert await second() == SweepReport(0, 0, 0, 0, 0)
    assert len(await provider.texts(kept)) == 1


@pytest.mark.parametrize("batch", [1, 2, 500])
async def test_blobs_that_no_row_names_are_deleted_once_they_are_a_day_old(provider: Provider, batch: int) -> None:
    keys = [provider.add("u@a.example"), provider.add("u@b.example")]
    today = provider.clock.moment
    provider.clock.move(days=-3)
    await deliver(provider, "u@a.example", "u@b.example")
    provider.clock.move(days=3)
    named = await provider.keys()
    tenants = [key.tenant_id.hex for key in keys] + [remember_removed(provider)]
    young = [f"{tenant}/{today:%Y/%m/%d}/{'1' * 32}" for tenant in tenants]
    old = [f"{tenant}/{today - ago * DAY:%Y/%m/%d}/{'2' * 32}" for tenant in tenants for ago in (2, 3, 8)]
    for key in young + old:
        await put(provider, key)
    assert (await sweep(provider, batch)()).orphans == len(old)
    assert await provider.keys() == sorted(named + young)


@pytest.mark.parametrize("batch", [1, 2, 500])
async def test_g1_blobs_of_a_tenant_that_the_database_never_had_stay_and_are_told(
    provider: Provider, batch: int
) -> None:
    """It may be another database's, or have come after the backup that this one was restored from."""
    own = provider.add("u@a.example").tenant_id.hex
    others = [uuid4() for _ in range(3)]
    provider.state.audit.append((others[0], AuditEntry(provider.clock.now(), "staff", "tenant.create", "lost")))
    old = f"{provider.clock.moment - 3 * DAY:%Y/%m/%d}/{'2' * 32}"
    for tenant in (own, *(each.hex for each in others)):
        await put(provider, f"{tenant}/{old}")
    assert await sweep(provider, batch)() == SweepReport(0, 0, 0, orphans=1, backlog=0, strangers=3)
    assert await provider.keys() == sorted(f"{each.hex}/{old}" for each in others)


async def test_what_another_program_keeps_in_the_same_bucket_stays_whatever_its_age(provider: Provider) -> None:
    own = provider.add("u@a.example").tenant_id.hex
    day = f"{provider.clock.moment - 3 * DAY:%Y/%m/%d}"
    ours = f"{own}/{day}/{'2' * 32}"
    theirs = [f"{own}/{day}/{name}" for name in ("poplar.dump", "2" * 31, "2" * 33, "A" * 32, f"{'2' * 32}/x")]
    theirs += [f"{word}/{day}/{'2' * 32}" for word in ("pgbackup", own.upper(), f"{own}0", f"{own}-old")]
    provider.blobs = MemoryBlobStore(lambda: provider.clock.moment - 3 * DAY)
    for key in (ours, *theirs):
        await put(provider, key)
    assert await sweep(provider)() == SweepReport(0, 0, 0, orphans=1, backlog=0)
    assert await provider.keys() == sorted(theirs)


@pytest.mark.parametrize(("most", "found"), [(None, "abc"), (2, "ab")])
async def test_the_tenants_that_are_stored_are_told_by_their_folders_and_nothing_else(
    provider: Provider, most: int | None, found: str
) -> None:
    blobs = provider.blobs = MemoryBlobStore()
    for word in ("README", "backup", "A" * 32, "a" * 31, *(each * 32 for each in "abc")):
        for rest in ("", "/2025/03/09/x", "/2025/03/09/y", "-x/1"):
            await put(provider, f"{word}{rest}")
    assert await tenants_stored(blobs, most) == [UUID(each * 32) for each in found]


async def test_a_second_sweep_searches_only_the_days_that_were_not_finished(provider: Provider) -> None:
    blobs = provider.blobs
    assert isinstance(blobs, AgedBlobs)
    provider.add("u@a.example")
    provider.clock.move(days=-6)
    await deliver(provider, "u@a.example")
    provider.clock.move(days=6)
    sweeper = sweep(provider)
    await sweeper()
    first, blobs.scanned = blobs.scanned, 0
    await sweeper()
    assert blobs.scanned < first


async def test_an_orphan_of_today_is_found_by_the_same_process_when_it_is_old_enough(provider: Provider) -> None:
    key = provider.add("u@a.example")
    sweeper = sweep(provider)
    await put(provider, f"{key.tenant_id.hex}/{provider.clock.moment:%Y/%m/%d}/{'1' * 32}")
    for _ in range(2):
        assert (await sweeper()).orphans == 0
    for _ in range(4):
        provider.clock.move(hours=13)
        await sweeper()
    assert await provider.keys() == []


async def test_g1_what_was_written_before_midnight_stays_though_its_key_is_of_yesterday(provider: Provider) -> None:
    """A delivery may be between its blob and its row."""
    assert isinstance(provider.blobs, AgedBlobs)
    now = provider.clock.moment = MOMENT.replace(hour=0, minute=30)
    tenant = provider.add("u@a.example").tenant_id.hex
    young, old = (f"{tenant}/{now - DAY:%Y/%m/%d}/{each * 32}" for each in "12")
    provider.blobs.written = {young: now - timedelta(minutes=31), old: now - DAY - timedelta(minutes=1)}
    for key in (young, old):
        await put(provider, key)
    assert (await sweep(provider)()).orphans == 1
    assert await provider.keys() == [young]


async def test_what_was_written_past_midnight_is_found_though_a_sweep_came_just_before_it_was_old_enough(
    provider: Provider,
) -> None:
    assert isinstance(provider.blobs, AgedBlobs)
    midnight = provider.clock.moment = MOMENT.replace(hour=0)
    orphan = f"{provider.add('u@a.example').tenant_id.hex}/{midnight - DAY:%Y/%m/%d}/{'1' * 32}"
    await put(provider, orphan)
    provider.blobs.written = {orphan: midnight + timedelta(minutes=10)}
    sweeper = sweep(provider)
    provider.clock.move(days=1, minutes=5)
    assert (await sweeper()).orphans == 0
    provider.clock.move(minutes=25)
    assert (await sweeper()).orphans == 1
    assert await provider.keys() == []


async def test_the_backlog_is_known_before_any_sweep_ends(provider: Provider) -> None:
    keys = [provider.add(address) for address in ("u@a.example", "v@a.example")]
    await deliver(provider, "u@a.example", "v@a.example")
    for key, days in zip(keys, (8, 6), strict=True):
        removed(provider, key, days * DAY)
    assert await Sweep(MemorySweepable(provider.state), provider.blobs, provider.clock).backlog() == 1


async def test_the_backlog_counts_what_is_left(provider: Provider) -> None:
    key = provider.add("u@a.example")
    await deliver(provider, "u@a.example")
    removed(provider, key, 8 * DAY)

    class Rows(MemorySweepable):
        async def removed_before(self, moment: datetime, limit: int) -> Sequence[Expired]:
            return []

    assert (await Sweep(Rows(provider.state), provider.blobs, provider.clock)()).backlog == 1


async def test_what_the_audit_keeps_is_deleted_after_its_retention_and_never_where_there_is_none(
    provider: Provider,
) -> None:
    key = provider.add("user@example.org")
    moments = [provider.clock.now() - days * DAY for days in (400, 366, 364)]
    entries = [(key.tenant_id, AuditEntry(moment, "staff", "tenant.status", "example")) for moment in moments]
    for retention, left in ((None, 3), (timedelta(days=365), 1)):
        provider.state.audit = list(entries)
        rules = SweepRules(batch=1, audit_retention=retention)
        report = await Sweep(provider.sweepable, provider.blobs, provider.clock, rules)()
        assert (report.audit, len(provider.state.audit)) == (3 - left, left)
    assert provider.state.audit == entries[2:]
