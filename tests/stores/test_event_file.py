"""Events as JSON lines in real files: whole lines, however often the file is rotated or the disk is full.

RFC 8259 §2: each line is one JSON text.
"""

import asyncio
import json
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from service.model.event import Event, Kind
from service.model.refusal import Reason, Refusal
from service.stores.event_file import EventFile, line_of

MOMENT = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)


def event(number: int) -> Event:
    return Event(Kind.LOGIN, MOMENT, f"id-{number}", "pod:1", session=str(number))


def events(*numbers: int) -> list[Event]:
    return [event(number) for number in numbers]


def sessions(path: Path) -> list[str]:
    return [json.loads(line)["session"] for line in path.read_bytes().split(b"\n") if line]


def read(path: Path) -> tuple[list[str], int]:
    """The sessions of whole lines, and how many others there are."""
    lines = path.read_bytes().splitlines()
    whole = [line for line in lines if line.endswith(b"}")]
    return [json.loads(line)["session"] for line in whole], len(lines) - len(whole)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "events.jsonl"


def test_an_event_is_one_line_that_leaves_out_what_is_not_known() -> None:
    line = line_of(event(1)._replace(address="zoë\n@example.org", client="2001:db8::1"))
    assert line.count(b"\n") == 1
    assert json.loads(line) == {
        "schema": 1,
        "id": "id-1",
        "at": "2026-01-02T03:04:05.678+00:00",
        "kind": "login",
        "process": "pod:1",
        "session": "1",
        "client": "2001:db8::1",
        "address": "zoë\n@example.org",
    }


async def test_events_are_appended_and_nobody_else_may_read_them(path: Path) -> None:
    for numbers in ((1, 2), (3,)):
        file = EventFile(str(path))
        await file.take(events(*numbers))
        file.close()
    assert sessions(path) == ["1", "2", "3"]
    assert os.stat(path).st_mode & 0o007 == 0  # noqa: PTH116 - a test may wait for its disk


async def test_a_file_that_was_moved_or_deleted_is_begun_anew(path: Path, tmp_path: Path) -> None:
    file = EventFile(str(path))
    await file.take(events(1))
    moved = tmp_path / "events.1"
    os.rename(path, moved)  # noqa: PTH104
    await file.take(events(2))
    os.unlink(path)  # noqa: PTH108
    await file.take(events(3))
    os.truncate(path, 0)
    await file.take(events(4))
    file.close()
    assert (sessions(moved), sessions(path)) == (["1"], ["4"])


async def test_processes_that_append_to_one_file_tear_no_line(path: Path) -> None:
    files = [EventFile(str(path)) for _ in range(4)]
    batch = [event(number)._replace(detail="x" * 2000) for number in range(50)]
    for _ in range(5):
        await asyncio.gather(*(file.take(batch) for file in files))
    assert sorted(sessions(path)) == sorted(20 * [str(number) for number in range(50)])


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
async def test_a_full_disk_is_refused_as_temporary() -> None:
    with pytest.raises(Refusal) as refused:
        await EventFile("/dev/full").take(events(1))
    assert refused.value.reason is Reason.UNAVAILABLE
    assert "No space left" in refused.value.cause


async def test_a_directory_that_is_missing_may_come_later(path: Path) -> None:
    file = EventFile(str(path.parent / "later" / "events"))
    with pytest.raises(Refusal):
        await file.take(events(1))
    (path.parent / "later").mkdir()
    await file.take(events(1))
    assert sessions(path.parent / "later" / "events") == ["1"]


@contextmanager
def room_for(octets: int) -> Iterator[None]:
    """No file may grow beyond this: a write comes to a short one and then to an error, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (octets, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("cut", range(-1, 3))
async def test_an_event_cut_short_by_a_full_disk_follows_whole_once_there_is_room(path: Path, cut: int) -> None:
    batch = events(1, 2, 3)
    file = EventFile(str(path))
    with room_for(len(line_of(batch[0])) + cut):
        for _ in range(3):
            with pytest.raises(Refusal):
                await file.take(batch)
    await file.take(batch)
    await file.take(events(4))
    whole, broken = read(path)
    assert whole == (["1"] if cut == -1 else []) + ["1", "2", "3", "4"]
    assert broken == (1 if cut > 0 else 0)
