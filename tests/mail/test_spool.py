"""An mbox is read under its lock, as mail servers write to it under theirs: fcntl(2)."""

import errno
import fcntl
from pathlib import Path

import pytest

from service.mail.importing import open_archive
from service.model.refusal import Reason, Refusal

ONE = b"From a@b.example Sun Mar  9 12:00:00 2025\nA: b\n\nx\n\n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "mbox"
    path.write_bytes(ONE)
    return path


def test_what_is_being_written_to_is_refused(path: Path) -> None:
    with path.open("ab") as writer:
        fcntl.lockf(writer, fcntl.LOCK_EX)
        writer.write(ONE[:20])
        writer.flush()
        with pytest.raises(Refusal, match="is being written to; try again") as refused:
            open_archive(path)
    assert refused.value.reason is Reason.INVALID
    open_archive(path)


def test_nobody_writes_until_all_is_read(path: Path) -> None:
    """The last messages are read after the archive told of them all."""
    archive = open_archive(path)
    (message,) = archive.messages()
    del archive
    path.read_bytes()
    with path.open("ab") as writer:
        with pytest.raises(BlockingIOError):
            fcntl.lockf(writer, fcntl.LOCK_EX | fcntl.LOCK_NB)
        assert b"".join(message.pieces()) == b"A: b\n\nx\n"
        del message
        fcntl.lockf(writer, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_readers_don_t_shut_each_other_out(path: Path) -> None:
    path.chmod(0o400)
    assert [len(list(archive.messages())) for archive in (open_archive(path), open_archive(path))] == [1, 1]


def test_what_is_added_without_a_lock_is_left_to_another_run(path: Path) -> None:
    archive = open_archive(path)
    with path.open("ab") as writer:
        writer.write(ONE + ONE[:20])
    assert [b"".join(message.pieces()) for message in archive.messages()] == [b"A: b\n\nx\n"]


def test_a_file_system_without_locks_is_read_all_the_same(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_locks(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "fcntl", no_locks)
    assert len(list(open_archive(path).messages())) == 1
