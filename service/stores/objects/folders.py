"""Files put below a local directory durably, those that come together in one go of one thread.

Owns the order of the calls: a folder's own name is brought to the disk before the first file in it, a file's octets
before its name, and its name before the put returns. A folder stays open once that is done, so that a later file costs
two syncs instead of one for each folder above it, and several that come together share one of the folder. One that was
removed meanwhile takes no file, and is made anew.
Refuses to know keys beyond their slashes. May be used by several threads at once.
"""

import contextlib
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex

from service.stores.objects.growing import Begun, GrowingFile
from service.stores.objects.writing import close, start_writing

MOST_OPEN = 256
_UNDER_WAY = re.compile(r"[^#]+#[0-9a-f]{1,8}")


class _Folder:
    """An open directory; while it is open, no other one can be taken for it."""

    __slots__ = ("file",)

    def __init__(self, file: int) -> None:
        self.file = file

    def __del__(self) -> None:
        """Close it once no thread uses it any more."""
        os.close(self.file)


@dataclass(slots=True)
class _File:
    """One file on its way into its folder."""

    name: str
    octets: bytes
    under_way: str = ""
    descriptor: int = -1


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
        (failed,) = self.put_all([(key, octets)])
        if failed is not None:
            raise failed

    def put_all(self, files: Sequence[tuple[str, bytes]]) -> list[OSError | None]:
        """The same of several; for each, in order, what it failed with."""
        by_folder: dict[str, dict[int, _File]] = {}
        for place, (key, octets) in enumerate(files):
            name, _, file = key.rpartition("/")
            by_folder.setdefault(name, {})[place] = _File(file, octets)
        failed: dict[int, OSError] = {}
        for name, group in by_folder.items():
            failed |= self._put_into(name, group)
        return [failed.get(place) for place in range(len(files))]

    def growing(self, key: str) -> GrowingFile:
        """A long file `key`, which is not there yet. Raises nothing: what is wrong its first write tells."""
        folder, _, name = key.rpartition("/")
        return GrowingFile(name, lambda: self._begun(folder, name))

    def _begun(self, name: str, last: str) -> Begun:
        root, file = self._look_at_root(), _File(last, b"")
        folder = self._known.get((*root, name)) or self._made(name)
        try:
            _create(folder, file)
        except FileNotFoundError:
            # Being empty, it was removed since.
            self._known.pop((*root, name), None)
            folder = self._made(name)
            _create(folder, file)
        return Begun(folder, file.under_way, file.descriptor)

    def _put_into(self, name: str, files: Mapping[int, _File]) -> Mapping[int, OSError]:
        try:
            root = self._look_at_root()
            failed = _write_all(self._known.get((*root, name)) or self._made(name), files)
            missed = {n: files[n] for n, error in failed.items() if isinstance(error, FileNotFoundError)}
            if missed:
                # Being empty, it was removed since.
                self._known.pop((*root, name), None)
                failed = {n: error for n, error in failed.items() if n not in missed}
                failed |= _write_all(self._made(name), missed)
        except OSError as error:
            return dict.fromkeys(files, error)
        return failed

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


def is_under_way(name: str) -> bool:
    """Whether a file of this name is one on its way, as `Folders` calls it."""
    return _UNDER_WAY.fullmatch(name) is not None


def _identity_of(found: os.stat_result) -> tuple[int, int]:
    return found.st_dev, found.st_ino


def _write_all(folder: _Folder, files: Mapping[int, _File]) -> dict[int, OSError]:
    """Have all of these files in `folder`, durably; what some failed with."""
    failed: dict[int, OSError] = {}
    for step in (_create, _start, _finish) if len(files) > 1 else (_create, _finish):
        for n, file in files.items():
            if n not in failed:
                try:
                    step(folder, file)
                except OSError as error:
                    failed[n] = error
                    _clean_up(folder, file)
    if len(failed) < len(files):
        os.fsync(folder.file)
    return failed


def _create(folder: _Folder, file: _File) -> None:
    # No key has this sign, so that a file on its way is never read or scanned.
    file.under_way = f"{file.name}#{token_hex(4)}"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    file.descriptor = os.open(file.under_way, flags, 0o666, dir_fd=folder.file)
    left = memoryview(file.octets)
    while left:
        left = left[os.write(file.descriptor, left) :]


def _start(_folder: _Folder, file: _File) -> None:
    """Have the kernel begin to write, so that all of them are on their way before the first is waited for."""
    start_writing(file.descriptor)


def _finish(folder: _Folder, file: _File) -> None:
    os.fsync(file.descriptor)
    close(file.descriptor)
    file.descriptor = -1
    os.rename(file.under_way, file.name, src_dir_fd=folder.file, dst_dir_fd=folder.file)


def _clean_up(folder: _Folder, file: _File) -> None:
    if file.descriptor >= 0:
        close(file.descriptor)
        file.descriptor = -1
    with contextlib.suppress(OSError):
        os.unlink(file.under_way, dir_fd=folder.file)
