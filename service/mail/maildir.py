"""Messages in a Maildir: one file each, in `new` and `cur`.

Owns the format, and where Dovecot's list of unique-ids is. Messages flagged T (trashed) are left out. Refuses to
change anything: files keep their names and flags; and to know how a file is compressed.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

from service.mail.archives import NO_UIDL, ArchivedMessage
from service.mail.compressed import pieces
from service.mail.dovecot import UidlFormat, unique_ids

UID_LIST = "dovecot-uidlist"

_MOMENT = re.compile(r"\d+")


class Maildir:
    """One directory with `new` and `cur`; sub-folders are not looked into. Raises OSError if it can't be read."""

    def __init__(self, path: Path, uidl: UidlFormat, *, unlisted: bool = False) -> None:
        """`uidl` is how Dovecot makes UIDLs, if it lists the messages; with `unlisted` those it hasn't listed yet are
        as good as the others.
        """
        self._path, self._uidl, self._unlisted = path, uidl, unlisted
        self._look()
        self.octets = sum(_octets(file) or 0 for file in self._files)

    def _look(self) -> None:
        """List the files, then what Dovecot knows of them."""
        self._files = _files(self._path)
        self._unique_ids = _unique_ids(self._path / UID_LIST, self._uidl)

    def messages(self) -> Iterator[ArchivedMessage]:
        """The messages by their time of arrival, which their file names begin with. Those that get another name while
        they are read (other flags, or a move to `cur`) or arrive meanwhile come after the rest, those that vanish are
        left out.
        """
        told: set[str] = set()
        while files := [file for file in self._files if _base(file) not in told]:
            for file in files:
                octets = _octets(file)
                if octets is not None:
                    told.add(_base(file))
                    yield self._message(file, octets)
            self._look()

    def _message(self, file: Path, octets: int) -> ArchivedMessage:
        known, base = self._unique_ids, _base(file)
        # Its clients are told a UIDL once Dovecot lists it, and then know the message by that one.
        refusal = NO_UIDL if known is not None and base not in known and not self._unlisted else None
        unique_id, text = (known or {}).get(base), partial(self._pieces, file)
        return ArchivedMessage(f"{file.parent.name}/{file.name}", octets, unique_id, text, refusal)

    def _pieces(self, file: Path) -> Iterator[bytes]:
        """The text, found again if it got another name. Raises OSError."""
        try:
            yield from pieces(file)
        except FileNotFoundError:
            renamed = next((other for other in _files(self._path) if _base(other) == _base(file)), file)
            yield from pieces(renamed)


def _files(path: Path) -> Sequence[Path]:
    """The messages' files by time of arrival, without those that vanish while it looks."""
    files = ((_arrival(file), file) for folder in (path / "cur", path / "new") for file in _listed(folder))
    return [file for _, file in sorted((arrival, file) for arrival, file in files if arrival is not None)]


def _listed(folder: Path) -> Iterator[Path]:
    """The messages in it; itself where it is a link, to be refused as a message that is one."""
    if folder.is_symlink() and folder.is_dir():
        yield folder
    elif folder.is_dir():
        yield from (file for file in folder.iterdir() if file.is_file() and _is_message(file.name))


def _octets(file: Path) -> int | None:
    """Its octets, or None once it vanished."""
    try:
        return file.stat().st_size
    except FileNotFoundError:
        return None


def _is_message(name: str) -> bool:
    flags = name.partition(":2,")[2]
    return not name.startswith(".") and "T" not in flags


def _base(file: Path) -> str:
    """The name without flags: what stays the same when a message is read or moved to `cur`."""
    return file.name.partition(":")[0]


def _arrival(file: Path) -> tuple[float, str] | None:
    """What messages are ordered by, or None once it vanished."""
    found = _MOMENT.match(file.name)
    try:
        return (float(found[0]) if found else file.stat().st_mtime, file.name)
    except FileNotFoundError:
        return None


def _unique_ids(path: Path, uidl: UidlFormat) -> Mapping[str, str | None] | None:
    if not path.is_file():
        return None
    return unique_ids(path.read_text("utf-8", "surrogateescape").split("\n"), uidl)
