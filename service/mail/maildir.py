"""Messages in a Maildir: one file each, in `new` and `cur`.

Owns the format, and Dovecot's list of unique-ids beside it. Messages flagged T (trashed) are left out. Refuses to
change anything: files keep their names and flags; and to know how a file is compressed.
"""

import re
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

from service.mail.archives import ArchivedMessage, dovecot_unique_id, valid_unique_id
from service.mail.compressed import pieces

UID_LIST = "dovecot-uidlist"

_HEAD = re.compile(r"3 (?:.* )?V(?P<validity>\d+)(?: .*)?")
_ENTRY = re.compile(r"(?P<uid>\d+)(?P<facts>(?: [A-Z]\S*)*) :(?P<name>.+)")
_KEPT = re.compile(r"(?:^| )P(?P<unique_id>\S+)")
_MOMENT = re.compile(r"\d+")


class Maildir:
    """One directory with `new` and `cur`; sub-folders are not looked into. Raises OSError if it can't be read."""

    def __init__(self, path: Path) -> None:
        self._files = sorted(_files(path), key=_arrival)
        self._unique_ids = _unique_ids(path / UID_LIST)
        self.octets = sum(file.stat().st_size for file in self._files)

    def messages(self) -> Iterator[ArchivedMessage]:
        """The messages by their time of arrival, which their file names begin with. Those that vanish are left out."""
        for file in self._files:
            try:
                octets = file.stat().st_size
            except FileNotFoundError:
                continue
            unique_id = self._unique_ids.get(_base(file))
            yield ArchivedMessage(f"{file.parent.name}/{file.name}", octets, unique_id, partial(pieces, file))


def _files(path: Path) -> Iterator[Path]:
    """The messages; and `cur` or `new` itself where it is a link, to be refused as a message that is one."""
    for folder in (path / "cur", path / "new"):
        if folder.is_symlink() and folder.is_dir():
            yield folder
        elif folder.is_dir():
            yield from (file for file in folder.iterdir() if file.is_file() and _is_message(file.name))


def _is_message(name: str) -> bool:
    flags = name.partition(":2,")[2]
    return not name.startswith(".") and "T" not in flags


def _base(file: Path) -> str:
    """The name without flags: what stays the same when a message is read or moved to `cur`."""
    return file.name.partition(":")[0]


def _arrival(file: Path) -> tuple[float, str]:
    found = _MOMENT.match(file.name)
    return (float(found[0]) if found else file.stat().st_mtime, file.name)


def _unique_ids(path: Path) -> Mapping[str, str]:
    """The UIDL of each file by its base name, as Dovecot has served it: the one it was told to keep (a P record),
    else the one that it makes.
    """
    if not path.is_file():
        return {}
    lines = path.read_text("utf-8", "surrogateescape").splitlines()
    head = _HEAD.fullmatch(lines[0]) if lines else None
    if head is None:
        return {}
    known = {}
    for line in lines[1:]:
        entry = _ENTRY.fullmatch(line)
        unique_id = valid_unique_id(_served(entry, int(head["validity"]))) if entry else None
        if entry and unique_id:
            known[entry["name"].partition(":")[0]] = unique_id
    return known


def _served(entry: "re.Match[str]", validity: int) -> str:
    kept = _KEPT.search(entry["facts"])
    return kept["unique_id"] if kept else dovecot_unique_id(int(entry["uid"]), validity)
