"""Import of a Maildir whose files get other names, or vanish, while it is read."""

from pathlib import Path

import pytest

from service.mail.importing import open_archive

LETTER = b"Subject: %d\n\ntext\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for sub in ("cur", "new"):
        (tmp_path / sub).mkdir()
    for number in range(4):
        (tmp_path / f"new/{number}.host").write_bytes(LETTER % number)
    return tmp_path


def test_messages_that_are_renamed_meanwhile_come_later(folder: Path) -> None:
    """By a client that marks mail as read, or by a server that moves it to `cur`."""
    texts = []
    for message in open_archive(folder).messages():
        texts.append(b"".join(message.pieces()))
        if len(texts) == 1:
            (folder / "new/1.host").rename(folder / "cur/1.host:2,S")
            (folder / "new/2.host").rename(folder / "cur/2.host:2,ST")
            (folder / "new/4.host").write_bytes(LETTER % 4)
    assert texts == [LETTER % number for number in (0, 3, 1, 4)]


def test_a_text_is_read_under_the_name_it_got_since(folder: Path) -> None:
    """Each is read twice, some time after it was listed."""
    first, *_ = open_archive(folder).messages()
    (folder / "new/0.host").rename(folder / "cur/0.host:2,S")
    assert b"".join(first.pieces()) == LETTER % 0
    (folder / "cur/0.host:2,S").unlink()
    with pytest.raises(FileNotFoundError):
        list(first.pieces())


def test_what_vanishes_while_files_are_listed_is_left_out(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    is_file = Path.is_file

    def vanish(path: Path) -> bool:
        there = is_file(path)
        if path.name in ("no-moment", "1.host"):
            path.unlink(missing_ok=True)
        return there

    (folder / "cur/no-moment").write_bytes(LETTER % 9)
    monkeypatch.setattr(Path, "is_file", vanish)
    archive = open_archive(folder)
    assert archive.octets == 3 * len(LETTER % 0)
    assert [message.name for message in archive.messages()] == ["new/0.host", "new/2.host", "new/3.host"]
