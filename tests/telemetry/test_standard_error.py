"""A log that can't be written breaks off nothing: what it loses is counted."""

import io
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, TextIO

import pytest
import structlog
from prometheus_client import REGISTRY

from service.telemetry.logs import SessionLog, configure, get_log
from service.telemetry.standard_error import Lines
from tests.telemetry.written import members


@pytest.fixture(autouse=True)
def _logs_as_before() -> Iterator[None]:
    handlers = logging.getLogger().handlers[:]
    yield
    structlog.reset_defaults()
    logging.getLogger().handlers[:] = handlers


def lost() -> float:
    return REGISTRY.get_sample_value("poplar_log_lines_lost_total") or 0.0


def full_disk() -> TextIO:
    return Path("/dev/full").open("w")


def pipe_without_a_reader() -> TextIO:
    reader, writer = os.pipe()
    os.close(reader)
    return os.fdopen(writer, "w")


def full_pipe() -> TextIO:
    _reader, writer = os.pipe()
    os.set_blocking(writer, False)
    with suppress(BlockingIOError):
        while True:
            os.write(writer, bytes(65536))
    return os.fdopen(writer, "w")


def memory() -> TextIO:
    return io.StringIO()


@pytest.mark.parametrize("stream", [full_disk, pipe_without_a_reader, full_pipe])
def test_lines_that_cannot_be_written_are_counted_and_raise_nothing(stream: Callable[[], TextIO]) -> None:
    out = stream()
    _write_every_kind(out)
    out.close()  # Nothing waits in it, which would be written now.


@pytest.mark.parametrize("stream", [full_disk, memory])
def test_lines_of_a_closed_stream_are_counted_and_raise_nothing(stream: Callable[[], TextIO]) -> None:
    out = stream()
    configure("json", "info", out)
    out.close()
    _write_every_kind(None)


def _write_every_kind(out: TextIO | None) -> None:
    if out is not None:
        configure("json", "info", out)
    before = lost()
    SessionLog("5e551f00d5e551f0", "pop3s").ended(members(end="quit", seconds=1.0))
    get_log("test").error("unavailable")
    logging.getLogger("library").warning("something")
    assert lost() - before == 3


class Disk(io.RawIOBase):
    """Has room for so many octets."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.written = b""

    def writable(self) -> bool:
        return True

    def write(self, octets: Any) -> int:
        if not self.room:
            raise OSError(28, "No space left on device")
        taken = bytes(octets[: self.room])
        self.room -= len(taken)
        self.written += taken
        return len(taken)


def test_no_line_is_appended_to_half_of_another() -> None:
    disk = Disk(room=10)
    lines = Lines(io.TextIOWrapper(io.BufferedWriter(disk)))
    before = lost()
    for line in ("first\n", "second\n", "third\n"):
        assert lines.write(line) == len(line)
    assert lost() - before == 2
    disk.room = 100
    for line in ("fourth\n", "fifth\n"):
        lines.write(line)
    assert disk.written == b"first\nseco\nfourth\nfifth\n"


def test_a_line_that_is_taken_in_parts_is_written_whole() -> None:
    class Slow(Disk):
        def write(self, octets: Any) -> int:
            return super().write(octets[:3])

    disk = Slow(room=100)
    lines = Lines(io.TextIOWrapper(io.BufferedWriter(disk)))
    before = lost()
    lines.write("first\n")
    lines.write("second\n")
    assert (disk.written, lost() - before) == (b"first\nsecond\n", 0)


def test_what_the_streams_encoding_has_no_octets_for_is_escaped(tmp_path: Path) -> None:
    with (tmp_path / "log").open("w", encoding="latin-1") as out:
        Lines(out).write("Zoë \N{SNOWMAN} \udcff\n")
    assert (tmp_path / "log").read_bytes() == b"Zo\xeb \\u2603 \\udcff\n"
