"""Short files put below a local directory durably, each in one go of one thread.

Owns the order of the calls: a folder's own name is brought to the disk before the first file in it, a file's octets
before its name, and its name before the put returns. A folder stays open once that is done, so that a later file costs
two syncs instead of one for each folder above it. One that was removed meanwhile takes no file, and is made anew.
Refuses to know keys beyond their slashes. May be used by several threads at once.
"""

import contextlib
import os
from pathlib import Path
from secrets import token_hex

MOST_OPEN = 256


class _Folder:
    """An open directory; while it is open, no other one can be taken for it."""

    __slots__ = ("file",)

    def __init__(self, file: int) -> None:
        self.file = file

    def __del__(self) -> None:
        """Close it once no thread uses it any more."""
        os.close(self.file)


class Folders:
    """The folders below `root` into which files were put lately."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._identity = (0, 0)
        self._known: dict[tuple[int, int, str], _Folder] = {}
        """By the root that they are really below, which may be another one by the time that they are asked for."""

    def put(self, key: str, octets: bytes) -> None:
        """Have `octets` in the file `key`, durably; another file of this name is replaced.

        Raises OSError, FileNotFoundError among them where the root is gone: it is never made.
        """
        name, _, file = key.rpartition("/")
        root = self._look_at_root()
        try:
            _write(self._known.get((*root, name)) or self._made(name), file, octets)
        except FileNotFoundError:
            # Being empty, it was removed since.
            self._known.pop((*root, name), None)
            _write(self._made(name), file, octets)

    def _look_at_root(self) -> tuple[int, int]:
        identity = _identity_of(self._root.stat())
        if identity != self._identity:
            self._identity, self._known = identity, {}
        return identity

    def _made(self, name: str) -> _Folder:
        """The folder, there and durable with all above it."""
        chain = [_Folder(os.open(self._root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))]
        for word in name.split("/") if name else ():
            with contextlib.suppress(FileExistsError):
                os.mkdir(word, dir_fd=chain[-1].file)
            flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
            chain.append(_Folder(os.open(word, flags, dir_fd=chain[-1].file)))
        for folder in reversed(chain):
            os.fsync(folder.file)
        if len(self._known) >= MOST_OPEN:
            self._known = {}
        self._known[*_identity_of(os.fstat(chain[0].file)), name] = chain[-1]
        return chain[-1]


def _identity_of(found: os.stat_result) -> tuple[int, int]:
    return found.st_dev, found.st_ino


def _write(folder: _Folder, name: str, octets: bytes) -> None:
    # No key has this sign, so that a file on its way is never read or scanned.
    under_way = f"{name}#{token_hex(4)}"
    try:
        _write_new(folder, under_way, octets)
        os.rename(under_way, name, src_dir_fd=folder.file, dst_dir_fd=folder.file)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(under_way, dir_fd=folder.file)
        raise
    os.fsync(folder.file)


def _write_new(folder: _Folder, name: str, octets: bytes) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    file = os.open(name, flags, 0o666, dir_fd=folder.file)
    try:
        left = memoryview(octets)
        while left:
            left = left[os.write(file, left) :]
        os.fsync(file)
    finally:
        os.close(file)
