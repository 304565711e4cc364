"""What a crash leaves in a local directory of files on their way, and the walk that takes it away. F1, F12."""

import os
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from service.mail.ports import BlobStore
from service.mail.sweep import Sweep
from service.stores.objects import open_blobs
from service.stores.objects.directory import LEFT_AFTER
from service.stores.objects.folders import Folders
from tests.mail.provider import Provider


async def once(octets: bytes) -> AsyncIterator[bytes]:
    yield octets


def crash(root: Path, key: str, hours: float) -> Path:
    """Begin a file and never end it; it was written so many hours ago."""
    Folders(root).growing(key).write([b"mail"])
    (left,) = (root / key).parent.glob(f"{Path(key).name}#*")
    age(left, hours)
    return left


def age(path: Path, hours: float) -> None:
    moment = time.time() - hours * 3600
    os.utime(path, (moment, moment))


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


async def keys(store: BlobStore) -> list[str]:
    return [blob.key async for blob in store.scan("")]


async def test_f1_a_walk_takes_away_what_a_crash_left_a_day_ago_with_folders_that_are_empty_then(
    tmp_path: Path,
) -> None:
    store = open_blobs(f"file://{tmp_path}")
    await store.put("t/2026/11/26/x", once(b"mail"))
    beside, alone = crash(tmp_path, "t/2026/11/26/y", 25), crash(tmp_path, "t/2026/11/25/z", 25)
    assert await keys(store) == ["t/2026/11/26/x"]
    assert not beside.exists()
    assert not alone.parent.exists()


async def test_f1_the_root_stays_though_nothing_else_was_in_it(tmp_path: Path) -> None:
    left = crash(tmp_path, "t/x", 25)
    assert await keys(open_blobs(f"file://{tmp_path}")) == []
    assert not left.parent.exists()
    assert names(tmp_path) == []


async def test_g1_files_that_may_still_be_on_their_way_stay(tmp_path: Path) -> None:
    left = crash(tmp_path, "t/x", LEFT_AFTER / 3600 - 1)
    assert await keys(open_blobs(f"file://{tmp_path}")) == []
    assert left.read_bytes() == b"mail"


@pytest.mark.parametrize("name", ["notes", "#1a", "x#", "x#later", "x#123456789", "x#1#2", "x"])
async def test_g1_no_other_file_is_taken_away_however_old(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"")
    age(tmp_path / name, 10_000)
    await keys(open_blobs(f"file://{tmp_path}"))
    assert (tmp_path / name).exists()


async def test_a_link_or_a_folder_of_such_a_name_stays(tmp_path: Path) -> None:
    (tmp_path / "y#1a").mkdir()
    (tmp_path / "x#1a").symlink_to(tmp_path / "y#1a")
    age(tmp_path / "y#1a", 25)
    os.utime(tmp_path / "x#1a", (0, 0), follow_symlinks=False)
    await keys(open_blobs(f"file://{tmp_path}"))
    assert names(tmp_path) == ["x#1a", "y#1a"]


async def test_f1_a_sweep_takes_it_away(tmp_path: Path) -> None:
    provider, store = Provider(), open_blobs(f"file://{tmp_path}")
    provider.clock.moment = datetime.now(UTC)
    day = f"{provider.clock.moment:%Y/%m/%d}"
    await store.put(f"t/{day}/x", once(b"mail"))
    left = crash(tmp_path, f"t/{day}/y", 25)
    await Sweep(provider.sweepable, store, provider.clock)()
    assert not left.exists()
    assert await keys(store) == [f"t/{day}/x"]
