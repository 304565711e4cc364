"""A long file in a local directory: whole and durable, or nothing is left of it. F7, F12, G1."""

import asyncio
import ctypes
import errno
import os
import stat
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

import pytest

from service.stores.objects import growing, open_blobs, writing
from service.stores.objects.directory import THREADS
from service.stores.objects.folders import Folders
from service.stores.objects.writing import write_all

PIECES = [b"one\r\n", b"", b"two\r\n"]


def files(root: Path) -> list[str]:
    return sorted(path.name for path in root.rglob("*") if path.is_file())


def test_it_is_there_by_its_name_once_it_is_whole_and_under_no_key_before(tmp_path: Path) -> None:
    file = Folders(tmp_path).growing("t/11/x")
    assert files(tmp_path) == []
    file.write(PIECES)
    file.write(PIECES)
    assert [name[:2] for name in files(tmp_path)] == ["x#"]
    file.finish()
    assert (tmp_path / "t/11/x").read_bytes() == b"one\r\ntwo\r\n" * 2
    file.give_up()
    assert files(tmp_path) == ["x"]


def test_one_that_is_given_up_is_gone_and_takes_no_more(tmp_path: Path) -> None:
    open_before = len(list(Path("/proc/self/fd").iterdir()))
    folders = Folders(tmp_path)
    folders.put("t/11/w", b"mail")
    for written in (False, True):
        file = folders.growing("t/11/x")
        if written:
            file.write(PIECES)
        file.give_up()
        for call in (lambda file=file: file.write(PIECES), file.finish):
            with pytest.raises(InterruptedError):
                call()
    assert files(tmp_path) == ["w"]
    assert len(list(Path("/proc/self/fd").iterdir())) <= open_before + 1


def held(monkeypatch: pytest.MonkeyPatch) -> tuple[threading.Event, threading.Event]:
    """Hold up whoever writes: set once somebody does, and to be set for it to go on."""
    writes, goes_on = threading.Event(), threading.Event()

    def slow(descriptor: int, pieces: Sequence[bytes]) -> None:
        writes.set()
        goes_on.wait(60)
        write_all(descriptor, pieces)

    monkeypatch.setattr(growing, "write_all", slow)
    return writes, goes_on


def test_f7_one_that_is_given_up_while_the_disk_hangs_is_taken_away_when_it_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = Folders(tmp_path).growing("x")
    writes, goes_on = held(monkeypatch)
    thread = threading.Thread(target=file.write, args=(PIECES,))
    thread.start()
    assert writes.wait(60)
    # Nobody waits for the disk.
    file.give_up()
    goes_on.set()
    thread.join(60)
    assert files(tmp_path) == []


async def test_f7_however_many_long_files_wait_for_the_disk_a_short_one_is_put(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writes, goes_on = held(monkeypatch)
    store = open_blobs(f"file://{tmp_path}")
    long = [asyncio.create_task(store.put(f"t/{number}", once(bytes(6 << 20)))) for number in range(THREADS + 1)]
    assert await asyncio.to_thread(writes.wait, 60)
    async with asyncio.timeout(60):
        await store.put("t/short", once(b"mail"))
        assert await store.read("t/short", 0, 4) == b"mail"
    assert not any(each.done() for each in long)
    goes_on.set()
    await asyncio.gather(*long)
    assert len(files(tmp_path)) == len(long) + 1


async def once(octets: bytes) -> AsyncIterator[bytes]:
    yield octets


def full(*_: object, **__: object) -> int:
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("call", ["writev", "fsync", "rename"])
def test_f12_one_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    folders = Folders(tmp_path)
    folders.put("t/w", b"mail")
    file = folders.growing("t/x")
    monkeypatch.setattr(os, call, full)
    with pytest.raises(OSError, match="No space"):
        write_and_finish(file)
    file.give_up()
    assert files(tmp_path) == ["w"]


@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC, errno.EDQUOT])
def test_g1_what_the_disk_says_while_pieces_go_there_is_heard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """Whoever waited for a piece is told that it didn't come there; fsync(2), at the end, isn't told again."""
    file = Folders(tmp_path).growing("x")
    monkeypatch.setattr(writing, "_call", answering(number))
    with pytest.raises(OSError, match=os.strerror(number)):
        write_and_finish(file)
    file.give_up()
    assert files(tmp_path) == []


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.EINVAL, errno.EPERM])
def test_a_system_that_is_not_to_be_asked_so_takes_long_files_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    file = Folders(tmp_path).growing("x")
    monkeypatch.setattr(writing, "_call", answering(number))
    write_and_finish(file)
    assert files(tmp_path) == ["x"]


def answering(number: int) -> Callable[..., int]:
    """sync_file_range(2) as it fails."""

    def call(*_: object) -> int:
        ctypes.set_errno(number)
        return -1

    return call


@pytest.fixture
def closed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The files that are closed. Each fails then, as it may on NFS, and its descriptor is free even so: close(2)."""
    real, files = os.close, list[int]()

    def failing(descriptor: int) -> None:
        regular = stat.S_ISREG(os.fstat(descriptor).st_mode)
        real(descriptor)
        if regular:
            files.append(descriptor)
            raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "close", failing)
    return files


def test_f12_one_that_is_given_up_is_gone_even_where_its_closing_fails(
    tmp_path: Path, closed: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    folders = Folders(tmp_path)
    file = folders.growing("t/x")
    file.write(PIECES)
    file.give_up()
    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OSError, match="No space"):
        folders.put("t/y", b"mail")
    assert files(tmp_path) == []
    assert len(closed) == 2


def test_g1_what_is_durable_is_put_though_its_closing_fails_and_no_descriptor_is_closed_twice(
    tmp_path: Path, closed: list[int]
) -> None:
    folders = Folders(tmp_path)
    file = folders.growing("t/x")
    write_and_finish(file)
    file.give_up()
    assert folders.put_all([("t/y", b"mail"), ("t/z", b"mail")]) == [None, None]
    assert files(tmp_path) == ["x", "y", "z"]
    assert len(closed) == 3


def write_and_finish(file: growing.GrowingFile) -> None:
    file.write(PIECES)
    file.finish()


def test_g1_a_folder_that_was_removed_meanwhile_is_made_anew(tmp_path: Path) -> None:
    folders = Folders(tmp_path)
    folders.put("t/11/w", b"mail")
    (tmp_path / "t/11/w").unlink()
    (tmp_path / "t/11").rmdir()
    write_and_finish(folders.growing("t/11/x"))
    assert (tmp_path / "t/11/x").read_bytes() == b"one\r\ntwo\r\n"


@pytest.mark.parametrize("at_once", [1, 3, 700])
def test_all_pieces_are_written_however_few_octets_the_kernel_takes_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    pieces = [bytes([number % 251]) * (number % 7) for number in range(1300)]
    real: Callable[[int, bytes], int] = os.write

    def sparing(descriptor: int, parts: Sequence[bytes]) -> int:
        assert 0 < len(parts) <= 1024
        return real(descriptor, b"".join(parts)[:at_once])

    monkeypatch.setattr(os, "writev", sparing)
    descriptor = os.open(tmp_path / "x", os.O_WRONLY | os.O_CREAT)
    write_all(descriptor, pieces)
    os.close(descriptor)
    assert (tmp_path / "x").read_bytes() == b"".join(pieces)
