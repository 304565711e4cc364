"""A Maildir that messages are written to, with the list by which Dovecot serves them under the UIDLs they had.

Owns the names of files, that a message is there whole or not at all, and Dovecot's list of unique-ids, version 3, whose
P records are the UIDLs that it serves. What is there already stays, also what Poplar no longer has. Refuses links in
place of folders and files: an export often runs as root, and its folder may be a customer's (G10).
RFC 1939 §7 (unique-ids).
"""

import os
import re
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from uuid import UUID

from service.mail.maildir import UID_LIST
from service.model.refusal import Reason, Refusal
from service.model.tenancy import ListedMessage

_HEAD = re.compile(r"3 V\d+ N(?P<next>\d+) G(?P<guid>[0-9a-f]{32})")
_FOLDERS = ("tmp", "new", "cur")
_PRIVATE_FOLDER, _PRIVATE_FILE = 0o700, 0o600
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW


class ExportedMaildir:
    """The folder at `path`, made where it isn't there, for the mail of one maildrop.

    Raises Refusal(INVALID) if it holds the mail of something else, or isn't a folder that can be written to.
    """

    def __init__(self, path: Path, maildrop: UUID) -> None:
        self._path = path
        self._maildrop = maildrop
        self._lines: list[str] = []
        """The list, without its head."""
        self._next = 1
        try:
            self._open()
            self._there = {_base(name) for folder in ("new", "cur") for name in _names(path / folder)}
        except OSError as error:
            raise Refusal(Reason.INVALID, f"{path}: {error.strerror}") from error
        self._named = {line.partition(" :")[2] for line in self._lines}

    def has(self, listed: ListedMessage) -> bool:
        """Whether this message was written before."""
        return _name(listed) in self._there

    async def write(self, listed: ListedMessage, pieces: AsyncIterator[bytes]) -> None:
        """Write a message. Raises OSError, and whatever `pieces` raises: then nothing of it is there."""
        unfinished = self._path / "tmp" / _name(listed)
        try:
            _forget(unfinished)
            with os.fdopen(os.open(unfinished, _NEW_FILE, _PRIVATE_FILE), "wb") as file:
                async for piece in pieces:
                    file.write(piece)
                file.flush()
                os.fsync(file.fileno())
            moment = listed.received.timestamp()
            os.utime(unfinished, (moment, moment), follow_symlinks=False)
            unfinished.rename(self._path / "cur" / f"{unfinished.name}:2,{'S' if listed.retrieved else ''}")
        finally:
            _forget(unfinished)

    def name(self, listed: ListedMessage) -> None:
        """Have the list name it, after all that it names by now, under the UIDL that clients know."""
        name = _name(listed)
        if name not in self._named:
            self._named.add(name)
            self._lines.append(f"{self._next} P{listed.unique_id} :{name}")
            self._next += 1

    def finish(self) -> None:
        """Write the list. Once this returns all is durable. Raises OSError."""
        # IMAP's UIDVALIDITY must be another one for another maildrop.
        validity = (self._maildrop.int & 0x7FFF_FFFF) or 1
        unfinished = self._path / "tmp" / UID_LIST
        _forget(unfinished)
        with os.fdopen(os.open(unfinished, _NEW_FILE, _PRIVATE_FILE), "w") as file:
            head = f"3 V{validity} N{self._next} G{self._maildrop.hex}"
            file.write("".join(f"{line}\n" for line in (head, *self._lines)))
            file.flush()
            os.fsync(file.fileno())
        unfinished.rename(self._path / UID_LIST)
        for folder in (self._path / "cur", self._path):
            _sync(folder)

    def _open(self) -> None:
        for folder in (self._path, *(self._path / name for name in _FOLDERS)):
            with suppress(FileExistsError):
                folder.mkdir(_PRIVATE_FOLDER, parents=folder is self._path)
            if folder is not self._path and folder.is_symlink():
                raise Refusal(Reason.INVALID, f"{folder} is a link, which an export doesn't follow")
        listed = self._path / UID_LIST
        if os.path.lexists(listed):
            self._go_on(listed.read_text().splitlines())
        elif any(_names(self._path / folder) for folder in ("new", "cur")):
            raise Refusal(Reason.INVALID, f"{self._path} has mail already, and not of an export's")
        else:
            # The next run knows it by this, however soon this one ends.
            self.finish()

    def _go_on(self, lines: list[str]) -> None:
        head = _HEAD.fullmatch(lines[0]) if lines else None
        if head is None or head["guid"] != self._maildrop.hex:
            raise Refusal(Reason.INVALID, f"{self._path} has another maildrop's mail")
        self._lines, self._next = lines[1:], int(head["next"])


def _names(folder: Path) -> list[str]:
    return [file.name for file in folder.iterdir()]


def _name(listed: ListedMessage) -> str:
    """The file's, without flags; with its octets on the disk and, as RFC822.SIZE, with CRLF: both are the same here."""
    octets = listed.message.octets
    return f"{int(listed.received.timestamp())}.{listed.message.unique_id.hex}.poplar,S={octets},W={octets}"


def _base(name: str) -> str:
    return name.partition(":")[0]


def _forget(file: Path) -> None:
    with suppress(FileNotFoundError):
        file.unlink()


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
