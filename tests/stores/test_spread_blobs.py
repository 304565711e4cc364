"""Several buckets as one store: where a tenant's mail goes, and that older mail is found where it is.

`test_blob_store.py` runs the port's whole suite on it; this is what one bucket has no twin of.
"""

import itertools
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from pydantic import SecretStr

from service.app.blobs import make_blobs
from service.mail.patience import Patience
from service.mail.sweep import Sweep
from service.model.refusal import Reason, Refusal
from service.settings.systems import ObjectStoreSettings
from service.stores.memory.state import MemoryState, TenantRow
from service.stores.memory.sweep import MemorySweepable
from service.stores.objects import ObjectBlobStore, SpreadBlobStore, open_blobs
from tests.backends.s3 import BUCKET, S3Server, s3_server

__all__ = ["s3_server"]

TENANTS = [uuid4().hex for _ in range(600)]


class Away(ObjectBlobStore):
    """A bucket that doesn't answer."""

    def __init__(self) -> None:
        pass

    async def read(self, key: str, start: int, end: int, patience: Patience | None = None) -> bytes:
        raise Refusal(Reason.UNAVAILABLE, "away")

    async def stream(
        self, key: str, start: int, end: int, patience: Patience | None = None
    ) -> AsyncGenerator[bytes, None]:
        raise Refusal(Reason.UNAVAILABLE, "away")
        yield b""


async def text() -> AsyncIterator[bytes]:
    yield b"Subject: x\r\n\r\n"


def buckets(*names: str) -> dict[str, ObjectBlobStore]:
    return {name: open_blobs("memory://") for name in names}


async def keys(store: SpreadBlobStore | ObjectBlobStore) -> list[str]:
    return [blob.key async for blob in store.scan("")]


def test_tenants_are_spread_evenly() -> None:
    store = SpreadBlobStore(buckets("a", "b", "c"))
    shares = Counter(store.order(f"{tenant}/2026/11/26/x")[0] for tenant in TENANTS)
    assert min(shares.values()) > len(TENANTS) / 3 * 0.7


def test_all_mail_of_a_tenant_goes_to_one_bucket_whatever_the_buckets_order() -> None:
    one, other = SpreadBlobStore(buckets("a", "b", "c")), SpreadBlobStore(buckets("c", "a", "b"))
    for tenant in TENANTS:
        assert one.order(f"{tenant}/2026/11/26/x") == other.order(f"{tenant}/2027/01/01/y")


def test_a_bucket_that_is_added_takes_its_share_and_no_other_tenant_moves() -> None:
    before, after = SpreadBlobStore(buckets("a", "b")), SpreadBlobStore(buckets("a", "b", "c"))
    moved = [(before.order(tenant)[0], after.order(tenant)[0]) for tenant in TENANTS]
    assert {new for old, new in moved if old != new} == {"c"}
    assert 0.2 < sum(old != new for old, new in moved) / len(TENANTS) < 0.5


async def test_mail_from_before_a_bucket_was_added_is_read_listed_and_deleted_where_it_is() -> None:
    first = buckets("a", "b")
    before = SpreadBlobStore(first)
    names = [f"{tenant}/2026/11/26/x" for tenant in TENANTS[:40]]
    for name in names:
        await before.put(name, text())
    after = SpreadBlobStore(first | buckets("c"))
    assert any(after.order(name)[0] == "c" for name in names)
    assert await keys(after) == sorted(names)
    for name in names:
        assert await after.read(name, 0, 14) == b"Subject: x\r\n\r\n"
        assert b"".join([piece async for piece in after.stream(name, 0, 14)]) == b"Subject: x\r\n\r\n"
    await after.delete(names)
    assert await keys(after) == []


async def test_while_a_bucket_is_added_by_two_updates_each_process_reads_what_another_one_puts() -> None:
    """In each update processes with the settings from before it run beside those with the new ones."""
    a, c = buckets("a", "b"), buckets("c")
    stores = [SpreadBlobStore(a), SpreadBlobStore(a, c), SpreadBlobStore(a | c)]
    for update, beside in enumerate(itertools.pairwise(stores)):
        for writer in beside:
            for tenant in TENANTS[:20]:
                key = f"{tenant}/2026/11/26/{update}{beside.index(writer)}"
                await writer.put(key, text())
                for reader in beside:
                    assert await reader.read(key, 0, 14) == b"Subject: x\r\n\r\n"
    assert await keys(stores[1]) == await keys(stores[2])
    assert len(await keys(c["c"])) > 0


async def test_a_bucket_that_is_only_read_gets_no_mail_and_is_asked_last() -> None:
    spread = SpreadBlobStore(buckets("a", "b"), buckets("c"))
    assert {spread.order(f"{tenant}/2026/11/26/x")[-1] for tenant in TENANTS} == {"c"}


@pytest.mark.parametrize("way", ["read", "stream"])
async def test_f7_a_blob_is_missing_only_if_every_bucket_says_so(way: str) -> None:
    async def got(store: SpreadBlobStore) -> Reason:
        key = "t/2026/11/26/x"
        with pytest.raises(Refusal) as caught:
            _ = await store.read(key, 0, 5) if way == "read" else [piece async for piece in store.stream(key, 0, 5)]
        return caught.value.reason

    assert await got(SpreadBlobStore(buckets("a", "b"))) is Reason.BROKEN
    assert await got(SpreadBlobStore(buckets("a", "b") | {"c": Away()})) is Reason.UNAVAILABLE


class Watched(ObjectBlobStore):
    """A bucket that tells whether a stream of it is open."""

    open = False

    def __init__(self) -> None:
        pass

    async def stream(
        self, key: str, start: int, end: int, patience: Patience | None = None
    ) -> AsyncGenerator[bytes, None]:
        self.open = True
        try:
            while True:
                yield b"x"
        finally:
            self.open = False


async def test_a_stream_that_is_left_in_the_middle_is_closed_at_once() -> None:
    bucket = Watched()
    stream = SpreadBlobStore({"a": bucket}).stream("t/2026/11/26/x", 0, 5)
    assert await anext(stream) == b"x"
    assert bucket.open
    await stream.aclose()
    assert not bucket.open


class Later:
    """A clock three days ahead."""

    def now(self) -> datetime:
        return datetime.now(UTC) + timedelta(days=3)

    def monotonic(self) -> float:
        return 0.0


async def test_the_sweep_finds_what_no_row_names_in_every_bucket() -> None:
    store = SpreadBlobStore(buckets("a", "b", "c"))
    day = f"{datetime.now(UTC):%Y/%m/%d}"
    for tenant in TENANTS[:30]:
        await store.put(f"{tenant}/{day}/{uuid4().hex}", text())
    state = MemoryState(tenants={UUID(tenant): TenantRow(UUID(tenant), tenant) for tenant in TENANTS})
    report = await Sweep(MemorySweepable(state), store, Later())()
    assert report.orphans == 30
    assert await keys(store) == []


async def test_two_buckets_of_a_real_server_serve_as_one(s3_server: S3Server) -> None:
    s3_server.client().create_bucket(Bucket="more-mail")
    o = s3_server.options
    settings = ObjectStoreSettings(
        url=f"s3://{BUCKET}/{uuid4().hex}",
        more_urls=(f"s3://more-mail/{uuid4().hex}",),
        endpoint=o.endpoint,
        region=o.region,
        access_key=SecretStr(o.access_key),
        secret_key=SecretStr(o.secret_key),
        allow_http=True,
    )
    store = make_blobs(settings)
    names = sorted(f"{tenant}/2026/11/26/x" for tenant in TENANTS[:12])
    for name in names:
        await store.put(name, text())
    assert [blob.key async for blob in store.scan("")] == names
    assert [await store.read(name, 0, 7) for name in names] == [b"Subject"] * 12
    own = open_blobs(settings.url, o)
    assert 0 < len(await keys(own)) < 12
    await store.delete(names)
    await store.ping()
    assert [blob.key async for blob in store.scan("")] == []


@pytest.mark.parametrize("setting", ["url", "more_urls", "read_urls"])
def test_a_folder_that_can_not_be_opened_is_named_with_its_setting(tmp_path: Path, setting: str) -> None:
    (tmp_path / "file").write_bytes(b"")
    good, bad = (tmp_path / "good").as_uri(), (tmp_path / "file" / "blobs").as_uri()
    urls = {"url": good, "more_urls": (f"{good}/more",)} | {setting: bad if setting == "url" else (bad,)}
    settings = ObjectStoreSettings.model_validate(urls)
    with pytest.raises(OSError, match=f"^object_store.{setting}: {bad} can't be opened: Not a directory"):
        make_blobs(settings)


@pytest.mark.parametrize("setting", ["more_urls", "read_urls"])
def test_further_urls_are_checked_as_the_first_one_is(tmp_path: Path, setting: str) -> None:
    one = tmp_path.as_uri()
    assert ObjectStoreSettings.model_validate({"url": one, setting: [f"{one}/more"]}).further_urls == (f"{one}/more",)
    for further in ((one,), (f"{one}/a", f"{one}/a"), ("ftp://x",), ("s3://user:word@bucket",)):
        with pytest.raises(ValueError, match="must"):
            ObjectStoreSettings.model_validate({"url": one, setting: further})
    with pytest.raises(ValueError, match="must name each bucket once"):
        ObjectStoreSettings(url=one, more_urls=(f"{one}/a",), read_urls=(f"{one}/a",))


def test_the_settings_tell_which_buckets_are_only_read(tmp_path: Path) -> None:
    one, more, read = ((tmp_path / name).as_uri() for name in ("one", "more", "read"))
    store = make_blobs(ObjectStoreSettings(url=one, more_urls=(more,), read_urls=(read,)))
    assert isinstance(store, SpreadBlobStore)
    assert {store.order(tenant)[-1] for tenant in TENANTS} == {read}
    assert {store.order(tenant)[0] for tenant in TENANTS} == {one, more}
    assert isinstance(make_blobs(ObjectStoreSettings(url=one, read_urls=(read,))), SpreadBlobStore)
