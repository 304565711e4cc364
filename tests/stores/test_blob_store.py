"""Every promise of `BlobStore`, on the in-memory twin, obstore's memory, a local directory and a real S3 server."""

import asyncio
import errno
import hashlib
import os
import random
import tempfile
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from service.mail.ports import BlobStore, NearBlobs
from service.model.refusal import Reason, Refusal
from service.stores.memory.blobs import MemoryBlobStore
from service.stores.objects import ObjectOptions, SpreadBlobStore, open_blobs
from service.stores.objects.cached import MOST_OCTETS, read_cached
from service.stores.objects.folders import Folders
from service.stores.observing import Unobserved
from tests.backends.s3 import BUCKET, S3Server, s3_server, s3_server_of_ones_own, s3_url_and_options

__all__ = ["s3_server", "s3_server_of_ones_own", "s3_url_and_options"]

MIB = 1 << 20


@pytest.fixture(params=["twin", "memory", "directory", "spread", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> NearBlobs:
    if request.param == "twin":
        return MemoryBlobStore()
    if request.param == "memory":
        return open_blobs("memory://")
    if request.param == "directory":
        return open_blobs(f"file://{tmp_path}/blobs%20here")
    if request.param == "spread":
        return SpreadBlobStore({name: open_blobs("memory://") for name in ("one", "two", "three")})
    url, options = request.getfixturevalue("s3_url_and_options")
    return open_blobs(url, options)


def reads_cached() -> bool:
    """Whether a file that was just read is found in memory."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(b"x")
        file.flush()
        return read_cached(file.name, 1) == b"x"


async def pieces(*chunks: bytes) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


async def whole(store: BlobStore, key: str, octets: int) -> bytes:
    return b"".join([piece async for piece in store.stream(key, 0, octets)])


async def keys(store: BlobStore, prefix: str, after: str = "") -> list[str]:
    return [blob.key async for blob in store.scan(prefix, after)]


def noise(octets: int) -> bytes:
    return random.Random(octets).randbytes(octets)


async def test_what_was_put_is_read_back(store: BlobStore) -> None:
    await store.put("t/1", pieces(b"Subject: x\r\n", b"\r\n", b".body\r\n"))
    assert await store.read("t/1", 0, 21) == b"Subject: x\r\n\r\n.body\r\n"[:21]
    assert await whole(store, "t/1", 21) == b"Subject: x\r\n\r\n.body\r\n"


async def test_a_range_is_exactly_the_octets_asked_for(store: BlobStore) -> None:
    text = noise(5000)
    await store.put("t/1", pieces(text))
    for start, end in [(0, 1), (0, 5000), (17, 18), (4999, 5000), (100, 4000), (7, 7), (9, 3)]:
        assert await store.read("t/1", start, end) == text[start : max(start, end)]


async def test_a_range_is_clamped_to_what_exists(store: BlobStore) -> None:
    await store.put("t/1", pieces(b"0123456789"))
    assert await store.read("t/1", 5, 100) == b"56789"
    assert await store.read("t/1", 10, 20) == b""
    assert await store.read("t/1", 50, 60) == b""


async def test_f8_a_stream_of_a_truncated_blob_ends_where_it_ends(store: BlobStore) -> None:
    text = noise(MIB + 500)
    await store.put("t/1", pieces(text))
    assert await whole(store, "t/1", 3 * MIB) == text


async def test_what_is_at_hand_is_what_a_read_gives(store: NearBlobs) -> None:
    text = noise(9000)
    await store.put("t/1", pieces(text))
    assert store.at_hand("t/1", 9000) in {text, None}
    assert store.at_hand("t/1", 100) in {text[:100], None}
    assert store.at_hand("t/1", 9001) is None, "it isn't so long"
    assert store.at_hand("t/2", 1) is None
    assert store.at_hand("../t/1", 1) is None


async def test_what_was_begun_comes_to_what_a_read_gives(store: NearBlobs) -> None:
    text = noise(9000)
    await store.put("t/1", pieces(text))
    for octets in (9000, 100, 9001):
        begun = store.begin("t/1", octets)
        assert begun is None or await begun == text[:octets]
    missing = store.begin("t/none", 10)
    if missing is not None:
        with pytest.raises(Refusal) as refused:
            await missing
        assert refused.value.reason is Reason.BROKEN


async def test_what_was_begun_and_is_cancelled_keeps_nothing_from_being_read(store: NearBlobs) -> None:
    await store.put("t/1", pieces(b"text"))
    begun = store.begin("t/1", 4)
    if begun is not None and begun.cancel():
        with pytest.raises(asyncio.CancelledError):
            await begun
    assert await store.read("t/1", 0, 4) == b"text"


async def test_what_comes_in_parts_is_not_begun() -> None:
    store = open_blobs("memory://")
    await store.put("t/1", pieces(noise(MIB)))
    assert store.begin("t/1", MIB) is None
    assert store.begin("t/1", 0) is None


async def test_an_empty_blob_is_a_blob(store: BlobStore) -> None:
    await store.put("t/empty", pieces())
    assert await store.read("t/empty", 0, 10) == b""
    assert await whole(store, "t/empty", 0) == b""
    assert [(blob.key, blob.octets) async for blob in store.scan("t/")] == [("t/empty", 0)]


async def test_a_stream_comes_in_order_in_pieces_of_at_most_1_mib(store: BlobStore) -> None:
    text = noise(3 * MIB + 123)
    await store.put("t/1", pieces(text))
    got = [piece async for piece in store.stream("t/1", 1000, len(text))]
    assert max(map(len, got)) <= MIB
    assert b"".join(got) == text[1000:]


async def test_a_missing_blob_is_broken_whichever_way_it_is_read(store: BlobStore) -> None:
    with pytest.raises(Refusal) as refused:
        await store.read("t/none", 0, 10)
    assert refused.value.reason is Reason.BROKEN
    # Who brings it back must know which one it is.
    assert "t/none" in refused.value.cause
    with pytest.raises(Refusal) as refused:
        await store.read("t/none", 0, 0)
    assert refused.value.reason is Reason.BROKEN
    with pytest.raises(Refusal) as refused:
        await whole(store, "t/none", 10)
    assert refused.value.reason is Reason.BROKEN


@pytest.mark.parametrize("octets", [5 * MIB - 1, 5 * MIB, 5 * MIB + 1, 12 * MIB])
async def test_a_blob_around_the_octets_of_a_part_is_stored_whole(store: BlobStore, octets: int) -> None:
    text = noise(octets)
    await store.put("t/big", pieces(*(text[at : at + 700_001] for at in range(0, octets, 700_001))))
    assert hashlib.sha256(await whole(store, "t/big", octets)).digest() == hashlib.sha256(text).digest()
    assert [blob.octets async for blob in store.scan("t/")] == [octets]


@pytest.mark.parametrize("octets", [0, 100_000, 8 * MIB])
async def test_when_the_source_raises_nothing_is_stored_and_its_exception_passes(store: BlobStore, octets: int) -> None:
    async def broken() -> AsyncIterator[bytes]:
        for _ in range(octets // 65536):
            yield bytes(65536)
        raise Refusal(Reason.TOO_BIG)

    with pytest.raises(Refusal) as refused:
        await store.put("t/partial", broken())
    assert refused.value.reason is Reason.TOO_BIG
    assert await keys(store, "") == []
    with pytest.raises(Refusal):
        await store.read("t/partial", 0, 1)


@pytest.mark.parametrize("octets", [100_000, 8 * MIB])
async def test_when_the_delivery_is_cancelled_nothing_is_stored(store: BlobStore, octets: int) -> None:
    waiting = asyncio.Event()

    async def stalled() -> AsyncIterator[bytes]:
        for _ in range(octets // 65536):
            yield bytes(65536)
        waiting.set()
        await asyncio.Event().wait()

    delivery = asyncio.create_task(store.put("t/partial", stalled()))
    await waiting.wait()
    delivery.cancel()
    with pytest.raises(asyncio.CancelledError):
        await delivery
    assert await keys(store, "") == []


async def test_deleting_is_idempotent(store: BlobStore) -> None:
    for name in "abc":
        await store.put(f"t/{name}", pieces(b"x"))
    await store.delete(["t/a", "t/none", "t/b"])
    await store.delete(["t/a", "t/none", "t/b"])
    await store.delete([])
    assert await keys(store, "") == ["t/c"]


async def test_many_puts_at_once_do_not_mix(store: BlobStore) -> None:
    texts = {f"t/{number:02}": noise(1000 + number) for number in range(40)}
    await asyncio.gather(*(store.put(key, pieces(text)) for key, text in texts.items()))
    read = await asyncio.gather(*(store.read(key, 0, len(text)) for key, text in texts.items()))
    assert read == list(texts.values())


async def test_large_puts_at_once_do_not_mix(store: BlobStore) -> None:
    texts = [noise(6 * MIB + number) for number in range(3)]

    async def put_and_read(number: int) -> bytes:
        text = texts[number]
        chunks = (text[at : at + MIB] for at in range(0, len(text), MIB))
        await store.put(f"t/{number}", pieces(*chunks))
        return await whole(store, f"t/{number}", len(text))

    assert await asyncio.gather(*map(put_and_read, range(3))) == texts


NAMES = ["a/b", "a/b-c", "a/b/c", "a/b/d/e", "a/b.c", "a/b0", "a/c", "A/b", "b", "a-b/c", "a.b", "a0"]


async def test_blobs_are_scanned_in_key_order(store: BlobStore) -> None:
    # A file system can't hold both `a/b` and `a/b/c`.
    names = [name for name in NAMES if name != "a/b"]
    for name in names:
        await store.put(name, pieces(name.encode()))
    assert await keys(store, "") == sorted(names)
    for prefix in ["a", "a/", "a/b", "a/b/", "a/b/d/e", "none", "a/none/", "A"]:
        assert await keys(store, prefix) == sorted(name for name in names if name.startswith(prefix)), prefix
    for after in [*names, "a", "a/", "a/b/", "zzz", "0"]:
        assert await keys(store, "a/", after) == sorted(n for n in names if n.startswith("a/") and n > after), after


async def test_a_scan_goes_on_beyond_one_page(store: BlobStore) -> None:
    names = [f"t/2026/{number:04}" for number in range(1100)]
    # Each has the store's deadline: as many at once as a busy machine stores within it.
    for begin in range(0, len(names), 20):
        await asyncio.gather(*(store.put(name, pieces(b"x")) for name in names[begin : begin + 20]))
    assert await keys(store, "t/2026/") == names
    assert await keys(store, "t/2026/", names[998]) == names[999:]
    await store.delete(names)
    assert await keys(store, "") == []


async def test_a_scanned_blob_tells_its_octets_and_when_it_was_stored(store: BlobStore) -> None:
    await store.put("t/1", pieces(b"12345"))
    (blob,) = [blob async for blob in store.scan("t/")]
    assert blob.octets == 5
    assert blob.modified.tzinfo is not None


@pytest.fixture(params=["memory", "directory", "s3"])
def vendor(request: pytest.FixtureRequest, tmp_path: Path) -> BlobStore:
    if request.param == "memory":
        return open_blobs("memory://")
    if request.param == "directory":
        (tmp_path / "secret").write_bytes(b"not a blob")
        return open_blobs(f"file://{tmp_path}/blobs")
    url, options = request.getfixturevalue("s3_url_and_options")
    return open_blobs(url, options)


@pytest.mark.parametrize(
    "key", ["../secret", "t/../../secret", "/secret", "t//x", "", ".", "t/.", "t/\0", "t/ü", "t/#1", "t/1/", "x" * 1000]
)
async def test_a_key_that_no_blob_can_have_is_refused_untouched(vendor: BlobStore, key: str) -> None:
    with pytest.raises(Refusal) as refused:
        await vendor.read(key, 0, 10)
    assert refused.value.reason is Reason.BROKEN
    with pytest.raises(Refusal):
        await vendor.put(key, pieces(b"x"))
    with pytest.raises(Refusal):
        await vendor.delete([key])


async def test_a_scan_never_leaves_the_directory(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"not a blob")
    store = open_blobs(f"file://{tmp_path}/blobs")
    (tmp_path / "blobs" / "link").symlink_to(tmp_path)
    assert await keys(store, "../") == []
    assert await keys(store, "") == []


@pytest.mark.parametrize("url", ["memory://", "file"])
async def test_ping_leaves_nothing_behind(url: str, tmp_path: Path) -> None:
    store = open_blobs(f"file://{tmp_path}" if url == "file" else url)
    await store.ping()
    assert await keys(store, "") == []


@pytest.mark.parametrize("url", ["", "http://x/y", "s3://", "ftp://x", "s3:bucket", "bucket"])
def test_a_url_that_means_nothing_is_an_error(url: str) -> None:
    with pytest.raises(ValueError, match="begins with"):
        open_blobs(url)


def test_an_unknown_setting_is_an_error_without_secrets_in_it() -> None:
    options = ObjectOptions(secret_key="hush", extra={"colour": "hush"})
    with pytest.raises(ValueError, match="not valid") as wrong:
        open_blobs("s3://bucket/prefix", options)
    assert "hush" not in str(wrong.value)
    assert "hush" not in repr(ObjectOptions(secret_key="hush"))


def test_an_azure_account_is_named_by_itself_or_by_the_access_key() -> None:
    assert ObjectOptions(account="mail").config("az", "c") == {"account_name": "mail"}
    keys = {"account_name": "mail", "account_key": "aGk="}
    assert ObjectOptions(access_key="mail", secret_key="aGk=").config("az", "c") == keys
    assert ObjectOptions(account="mail", access_key="x", secret_key="aGk=").config("az", "c") == keys
    assert open_blobs("az://mail/prefix", ObjectOptions(account="mail"))


CHUNK = noise(65532)


async def stored_octets() -> int:
    status = await asyncio.to_thread(Path("/proc/self/statm").read_text)
    return int(status.split()[1]) * os.sysconf("SC_PAGE_SIZE")


async def test_g15_100_mb_are_put_and_streamed_in_bounded_memory(
    tmp_path: Path, s3_url_and_options: tuple[str, ObjectOptions], subtests: pytest.Subtests
) -> None:
    for name, (url, options) in {
        "s3": s3_url_and_options,
        "directory": (f"file://{tmp_path}", ObjectOptions()),
    }.items():
        with subtests.test(name):
            store = open_blobs(url, options)
            before = await stored_octets()
            highest = before

            async def message() -> AsyncIterator[bytes]:
                nonlocal highest
                for number in range(1600):
                    if number % 100 == 0:
                        highest = max(highest, await stored_octets())
                    # A chunk of its own each time, as a socket gives them.
                    yield number.to_bytes(4) + CHUNK

            await store.put("t/large", message())
            seen = 0
            async for piece in store.stream("t/large", 0, 1600 * 65536):
                seen += len(piece)
                highest = max(highest, await stored_octets())
            assert seen == 1600 * 65536
            assert highest - before < 64 * MIB
            assert await store.read("t/large", 65536 * 777, 65536 * 777 + 4) == (777).to_bytes(4)


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was brought to the disk, in order."""
    paths: list[str] = []
    real = os.fsync

    def noted(file: int) -> None:
        paths.append(str(Path(f"/proc/self/fd/{file}").readlink()))
        real(file)

    monkeypatch.setattr(os, "fsync", noted)
    return paths


async def test_a_directory_is_durable_when_put_returns(tmp_path: Path, synced: list[str]) -> None:
    store = open_blobs(f"file://{tmp_path}")
    await store.put("t/2026/11/x", pieces(b"mail"))
    *folders, text, folder = synced
    assert folders == [str(tmp_path / path) for path in ("t/2026/11", "t/2026", "t", "")]
    assert (text.partition("#")[0], folder) == (str(tmp_path / "t/2026/11/x"), str(tmp_path / "t/2026/11"))
    synced.clear()
    await store.put("t/2026/11/y", pieces(b"mail"))
    assert [path.partition("#")[0] for path in synced] == [str(tmp_path / "t/2026/11/y"), str(tmp_path / "t/2026/11")]


async def test_blobs_that_are_put_together_are_durable_and_share_the_sync_of_their_folder(
    tmp_path: Path, synced: list[str]
) -> None:
    store = open_blobs(f"file://{tmp_path}")
    await store.put("t/11/first", pieces(b"mail"))
    synced.clear()
    names = [f"t/{11 + n % 2}/{n}" for n in range(40)]
    await asyncio.gather(*(store.put(name, pieces(name.encode())) for name in names))
    assert [await store.read(name, 0, 99) for name in names] == [name.encode() for name in names]
    files = [path.partition("#")[0] for path in synced if "#" in path]
    assert sorted(files) == sorted(str(tmp_path / name) for name in names)
    for name in names:
        # After it, its folder.
        path = str(tmp_path / name)
        place = next(n for n, each in enumerate(synced) if each.startswith(f"{path}#"))
        assert str(Path(path).parent) in synced[place:]
    assert len(synced) < 2 * len(names)


async def test_f12_of_blobs_that_are_put_together_only_one_that_fails_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = os.write

    def full(file: int, octets: bytes) -> int:
        if bytes(octets) == b"3":
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(file, octets)

    store = open_blobs(f"file://{tmp_path}/mail")
    monkeypatch.setattr(os, "write", full)
    puts = [store.put(f"t/{n}", pieces(str(n).encode())) for n in range(8)]
    outcomes = await asyncio.gather(*puts, return_exceptions=True)
    assert [isinstance(outcome, Refusal) for outcome in outcomes] == [n == 3 for n in range(8)]
    assert sorted(path.name for path in (tmp_path / "mail/t").iterdir()) == [str(n) for n in range(8) if n != 3]


async def test_a_long_blob_in_a_directory_is_durable_when_put_returns(tmp_path: Path, synced: list[str]) -> None:
    await open_blobs(f"file://{tmp_path}").put("t/2026/11/x", pieces(noise(6 * MIB)))
    *folders, text, folder = synced
    assert folders == [str(tmp_path / path) for path in ("t/2026/11", "t/2026", "t", "")]
    assert (text.partition("#")[0], folder) == (str(tmp_path / "t/2026/11/x"), str(tmp_path / "t/2026/11"))


async def test_g1_a_folder_that_was_removed_meanwhile_is_made_and_synced_anew(
    tmp_path: Path, synced: list[str]
) -> None:
    store, sweep = open_blobs(f"file://{tmp_path}/mail"), open_blobs(f"file://{tmp_path}/mail")
    await store.put("t/11/x", pieces(b"mail"))
    await sweep.delete(["t/11/x"])
    assert not (tmp_path / "mail" / "t").exists()
    synced.clear()
    await store.put("t/11/y", pieces(b"more mail"))
    assert await store.read("t/11/y", 0, 99) == b"more mail"
    assert synced[:3] == [str(tmp_path / "mail" / path) for path in ("t/11", "t", "")]


async def test_g1_a_root_that_was_replaced_gets_what_is_put_from_now_on(tmp_path: Path) -> None:
    store = open_blobs(f"file://{tmp_path}/mail")
    await store.put("t/11/x", pieces(b"mail"))
    (tmp_path / "mail").rename(tmp_path / "former")
    (tmp_path / "mail").mkdir()
    await store.put("t/11/y", pieces(b"more mail"))
    assert (tmp_path / "mail" / "t/11/y").read_bytes() == b"more mail"


def test_g1_a_root_that_is_replaced_while_a_folder_is_made_gets_what_is_put_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mail, make = tmp_path / "mail", os.mkdir
    make(mail)
    folders = Folders(mail)
    folders.put("t/10/w", b"mail")

    def meanwhile(path: str, *, dir_fd: int) -> None:
        monkeypatch.setattr(os, "mkdir", make)
        mail.rename(tmp_path / "former")
        make(mail)
        # As another thread does.
        folders.put("t/12/z", b"mail")
        make(path, dir_fd=dir_fd)

    monkeypatch.setattr(os, "mkdir", meanwhile)
    folders.put("t/11/x", b"mail")
    folders.put("t/11/y", b"more mail")
    assert (mail / "t/11/y").read_bytes() == b"more mail"


async def test_f12_a_put_that_fails_leaves_no_file_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(file: int, octets: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    store = open_blobs(f"file://{tmp_path}/mail")
    monkeypatch.setattr(os, "write", full)
    with pytest.raises(Refusal) as refused:
        await store.put("t/1", pieces(b"mail"))
    assert refused.value.reason is Reason.UNAVAILABLE
    assert [path for path in (tmp_path / "mail").rglob("*") if path.is_file()] == []


@pytest.mark.skipif(not reads_cached(), reason="neither kernel nor file system tell what is in memory")
async def test_a_directory_has_at_hand_what_the_kernel_has_in_memory_and_no_long_file(tmp_path: Path) -> None:
    store = open_blobs(f"file://{tmp_path}/blobs")
    for octets in (1, 9000, MOST_OCTETS, MOST_OCTETS + 1):
        await store.put(f"t/{octets}", pieces(noise(octets)))
        known = store.at_hand(f"t/{octets}", octets)
        assert known == (noise(octets) if octets <= MOST_OCTETS else None)
    (tmp_path / "blobs" / "t" / "9000").write_bytes(noise(9000)[:100])
    assert store.at_hand("t/9000", 9000) is None


async def test_a_file_that_the_kernel_let_go_of_is_not_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "text"
    path.write_bytes(noise(9000))
    with path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    # Where it stays in memory all the same, it is given.
    assert read_cached(str(path), 9000) in {None, noise(9000)}


async def test_a_directory_keeps_no_empty_folders(tmp_path: Path) -> None:
    store = open_blobs(f"file://{tmp_path}")
    await store.put("t/2026/11/x", pieces(b"mail"))
    await store.put("t/2026/12/x", pieces(b"mail"))
    await store.delete(["t/2026/11/x"])
    assert not (tmp_path / "t/2026/11").exists()
    assert await keys(store, "") == ["t/2026/12/x"]


async def test_f7_a_directory_that_is_gone_is_unavailable_not_broken(tmp_path: Path) -> None:
    store = open_blobs(f"file://{tmp_path}/volume")
    (tmp_path / "volume").rmdir()
    with pytest.raises(Refusal) as refused:
        await store.read("t/1", 0, 1)
    assert refused.value.reason is Reason.UNAVAILABLE


async def test_g1_nothing_is_put_into_a_directory_that_is_gone(tmp_path: Path) -> None:
    store = open_blobs(f"file://{tmp_path}/volume")
    (tmp_path / "volume").rmdir()
    with pytest.raises(Refusal) as refused:
        await store.put("t/1", pieces(b"mail"))
    assert refused.value.reason is Reason.UNAVAILABLE
    assert not (tmp_path / "volume").exists()


async def test_a_file_that_is_being_written_is_not_scanned(tmp_path: Path) -> None:
    store = open_blobs(f"file://{tmp_path}")
    seen: list[str] = []
    names: list[str] = []

    async def slow() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield bytes(MIB)
        seen.extend(await keys(store, ""))
        names.extend(path.name for path in (tmp_path / "t").iterdir())
        yield b"end"

    await store.put("t/1", slow())
    assert seen == []
    assert [name.partition("#")[0] for name in names] == ["1"]
    assert await keys(store, "") == ["t/1"]


# What follows needs a real S3 server.


@pytest.mark.parametrize("how", ["raises", "is cancelled"])
async def test_an_upload_that_is_given_up_leaves_no_parts_behind(
    s3_server: S3Server, s3_url_and_options: tuple[str, ObjectOptions], how: str
) -> None:
    store = open_blobs(*s3_url_and_options)
    reached = asyncio.Event()

    async def source() -> AsyncIterator[bytes]:
        for _ in range(12):
            yield bytes(MIB)
        reached.set()
        if how == "raises":
            raise ConnectionResetError
        await asyncio.Event().wait()

    delivery = asyncio.create_task(store.put("t/partial", source()))
    await reached.wait()
    if how == "is cancelled":
        delivery.cancel()
    with pytest.raises((ConnectionResetError, asyncio.CancelledError)):
        await delivery
    assert await asyncio.to_thread(s3_server.unfinished_uploads) == []
    assert await keys(store, "") == []


async def test_s3_verifies_and_keeps_a_checksum_of_each_blob(
    s3_server: S3Server, s3_url_and_options: tuple[str, ObjectOptions]
) -> None:
    if s3_server.name == "moto":
        pytest.skip("moto keeps no checksum")
    url, options = s3_url_and_options
    await open_blobs(url, options).put("t/1", pieces(b"mail"))
    key = f"{url.removeprefix(f's3://{BUCKET}/')}/t/1"
    head = await asyncio.to_thread(s3_server.client().head_object, Bucket=BUCKET, Key=key, ChecksumMode="ENABLED")
    assert head["ChecksumSHA256"]
    assert head["ContentLength"] == 4


async def test_a_blob_is_a_plain_object_for_any_s3_tool(
    s3_server: S3Server, s3_url_and_options: tuple[str, ObjectOptions]
) -> None:
    url, options = s3_url_and_options
    await open_blobs(url, options).put("t/1", pieces(b"Subject: x\r\n\r\n"))
    key = f"{url.removeprefix(f's3://{BUCKET}/')}/t/1"
    found = await asyncio.to_thread(s3_server.client().get_object, Bucket=BUCKET, Key=key)
    assert found["Body"].read() == b"Subject: x\r\n\r\n"


Spoil = Callable[[ObjectOptions, str], tuple[str, ObjectOptions]]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda options, url: (url, replace(options, secret_key="wrong")),
        lambda options, url: (url, replace(options, access_key="nobody")),
        lambda options, url: (url.replace(f"s3://{BUCKET}", "s3://no-such-bucket"), options),
        lambda options, url: (url, replace(options, endpoint="http://127.0.0.1:9")),
        lambda options, url: (url, replace(options, endpoint="https://127.0.0.1:9")),
        lambda options, url: (url, replace(options, allow_http=False)),
    ],
    ids=["wrong secret", "wrong access key", "no such bucket", "nobody listens", "no TLS there", "http not allowed"],
)
async def test_f7_a_store_that_refuses_us_is_unavailable_never_broken(
    s3_server: S3Server, s3_url_and_options: tuple[str, ObjectOptions], spoil: Spoil
) -> None:
    if s3_server.name == "moto":
        pytest.skip("moto checks no credentials")
    url, options = s3_url_and_options
    store = open_blobs(*spoil(replace(options, deadline=2.0), url))
    for attempt in (
        lambda: store.put("t/1", pieces(b"x")),
        lambda: store.put("t/1", pieces(bytes(6 * MIB))),
        lambda: store.read("t/1", 0, 1),
        lambda: store.delete(["t/1"]),
        lambda: keys(store, ""),
        store.ping,
    ):
        with pytest.raises(Refusal) as refused:
            await attempt()
        assert refused.value.reason is Reason.UNAVAILABLE
        assert options.secret_key not in str(refused.value)


async def test_f7_a_server_that_ends_in_the_middle_of_a_stream_is_unavailable(s3_server_of_ones_own: S3Server) -> None:
    store = open_blobs(f"s3://{BUCKET}/p", replace(s3_server_of_ones_own.options, deadline=4.0))
    await store.put("t/1", pieces(noise(4 * MIB)))
    stream = store.stream("t/1", 0, 4 * MIB)
    assert await anext(stream) == noise(4 * MIB)[:MIB]
    s3_server_of_ones_own.end()
    with pytest.raises(Refusal) as refused:
        await anext(stream)
    assert refused.value.reason is Reason.UNAVAILABLE


async def test_f7_a_server_that_ends_in_the_middle_of_a_put_is_unavailable(s3_server_of_ones_own: S3Server) -> None:
    store = open_blobs(f"s3://{BUCKET}/p", replace(s3_server_of_ones_own.options, deadline=2.0))

    async def source() -> AsyncIterator[bytes]:
        for _ in range(12):
            yield bytes(MIB)
        s3_server_of_ones_own.end()
        for _ in range(12):
            yield bytes(MIB)

    with pytest.raises(Refusal) as refused:
        await store.put("t/1", source())
    assert refused.value.reason is Reason.UNAVAILABLE


async def test_f7_a_server_that_hangs_is_unavailable_at_the_deadline_and_heals(s3_server_of_ones_own: S3Server) -> None:
    store = open_blobs(f"s3://{BUCKET}/p", replace(s3_server_of_ones_own.options, deadline=1.0))
    await store.put("t/1", pieces(b"mail"))
    s3_server_of_ones_own.pause()
    for attempt in (
        lambda: store.read("t/1", 0, 4),
        lambda: store.put("t/2", pieces(b"x")),
        lambda: store.put("t/3", pieces(*[bytes(MIB)] * 12)),
        lambda: keys(store, ""),
    ):
        with pytest.raises(Refusal) as refused:
            await attempt()
        assert refused.value.reason is Reason.UNAVAILABLE
    s3_server_of_ones_own.resume()
    assert await store.read("t/1", 0, 4) == b"mail"


class Counted(Unobserved):
    """Remembers what a store told."""

    def __init__(self) -> None:
        self.outcomes: list[str] = []
        self.kinds: list[str] = []
        self.read = 0
        self.first = 0

    def store_called(self, vendor: str, outcome: str, seconds: float) -> None:
        assert vendor == "objects"
        self.outcomes.append(outcome)

    def store_failed(self, vendor: str, kind: str) -> None:
        self.kinds.append(kind)

    def blob_first_octets(self, seconds: float) -> None:
        self.first += 1

    def blob_read(self, seconds: float) -> None:
        self.read += 1


@pytest.mark.parametrize("where", ["directory", "s3"])
async def test_reads_tell_their_first_octets_and_their_end(
    where: str, tmp_path: Path, s3_url_and_options: tuple[str, ObjectOptions]
) -> None:
    counted = Counted()
    url, options = s3_url_and_options if where == "s3" else (f"file://{tmp_path}", ObjectOptions())
    store = open_blobs(url, options, counted)
    await store.put("t/1", pieces(bytes(2 * MIB)))
    await store.read("t/1", 0, 10)
    assert (counted.first, counted.read) == (1, 1)
    await whole(store, "t/1", 2 * MIB)
    assert (counted.first, counted.read) == (3, 2)
    assert set(counted.outcomes) == {"ok"}
    with pytest.raises(Refusal):
        await store.read("t/none", 0, 1)
    assert counted.outcomes[-1] == "refused"
    assert counted.kinds == []


async def test_failures_tell_their_kind(s3_server_of_ones_own: S3Server) -> None:
    options = replace(s3_server_of_ones_own.options, deadline=1.0)
    told = []
    for spoiled in (replace(options, secret_key="wrong"), replace(options, endpoint="http://127.0.0.1:9"), options):
        if spoiled is options:
            s3_server_of_ones_own.pause()
        counted = Counted()
        with pytest.raises(Refusal):
            await open_blobs(f"s3://{BUCKET}", spoiled, counted).read("t/1", 0, 1)
        told.extend(counted.kinds)
    # moto takes any secret, so there the blob is merely missing.
    assert told[-2:] == ["connection", "timeout"]
    assert told[:-2] == (["denied"] if s3_server_of_ones_own.name == "versitygw" else [])
