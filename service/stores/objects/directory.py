"""Blobs in a local directory: for the demo, for tests and for an installation on one machine.

Owns plain reads of files and a walk in key order (obstore lists a directory in any order); `folders` puts, as obstore
renames a file into place but doesn't sync it. A walk takes away what a crash left of files on their way. All of it but
what the kernel has in memory is done in threads of its own, so that a slow disk stalls neither the event loop nor name
look-ups. Refuses to follow a key out of its directory.
"""

import asyncio
import contextlib
import os
import stat
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TypeVar

from obstore.store import LocalStore

from service.mail.patience import Patience
from service.mail.ports import StoredBlob
from service.stores.objects.blobs import PAGE, PIECE, ObjectBlobStore
from service.stores.objects.cached import read_cached
from service.stores.objects.folders import Folders, is_under_way
from service.stores.objects.keys import folder_of, is_key
from service.stores.objects.puts import SHORT, Puts
from service.stores.objects.uploads import gather
from service.stores.observing import Observed, Observer
from service.stores.standing_back import stand_back

THREADS = 16
LONG_THREADS = 8
"""Threads that write files of more than `LONG` octets: however many come at once, short ones find a thread. These stand
back behind the event loop, and behind short files, which clients of other tenants may wait for (G16)."""
LONG = 1 << 20
LEFT_AFTER = 24 * 60 * 60.0
"""Seconds since it was written last after which a file on its way was left by a crash: no delivery takes so long."""
Result = TypeVar("Result")


class DirectoryBlobStore(ObjectBlobStore):
    """Implements `mail.ports.BlobStore` below `root`."""

    def __init__(self, store: LocalStore, root: Path, *, deadline: float, observer: Observer) -> None:
        super().__init__(store, deadline=deadline, again_after=deadline, observer=observer)
        self._root = root
        self._folders = Folders(root)
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="blobs")
        self._puts = Puts(self._folders.put_all, self._threads)
        self._long = ThreadPoolExecutor(LONG_THREADS, "long blobs", initializer=stand_back)

    def at_hand(self, key: str, octets: int) -> bytes | None:
        """The octets, if the kernel has them in memory."""
        asked = time.monotonic()
        found = read_cached(f"{self._root}/{key}", octets) if is_key(key) else None
        if found is not None:
            spent = time.monotonic() - asked
            with self._observer.call("objects", "get") as span:
                span.note(octets=octets)
            self._observer.store_called("objects", "ok", spent)
            self._observer.blob_first_octets(spent)
            self._observer.blob_read(spent)
        return found

    def begin(self, key: str, octets: int) -> "asyncio.Future[bytes] | None":
        """Nothing: what the kernel hasn't in memory is read by a thread, to its end."""
        return None

    async def scan(self, prefix: str, after: str = "") -> AsyncIterator[StoredBlob]:
        """The blobs whose key starts with `prefix` and sorts after `after`, in key order."""
        folder = folder_of(prefix)
        if folder and not is_key(folder):
            return
        walk = _walk(self._root, f"{folder}/" if folder else "", after)
        wanted = (blob for blob in walk if blob.key.startswith(prefix) and blob.key > after)
        while page := await self._blobs(wanted):
            for blob in page:
                yield blob

    async def _blobs(self, walk: Iterator[StoredBlob]) -> list[StoredBlob]:
        async with self._step("list"):
            return await self._run(lambda: list(islice(walk, PAGE)))

    async def _range(self, key: str, start: int, end: int, patience: Patience | None, call: Observed) -> bytes:
        asked = time.monotonic()
        octets = await self._run(lambda: _read(self._present() / key, start, end))
        self._observer.blob_first_octets(time.monotonic() - asked)
        return octets

    async def _delete(self, keys: Sequence[str]) -> None:
        await self._run(lambda: _unlink(self._root, keys))

    async def _put_whole(self, key: str, octets: bytes) -> None:
        if len(octets) > SHORT:
            threads = self._long if len(octets) > LONG else self._threads
            await self._run(lambda: self._folders.put(key, octets), threads)
        else:
            await self._puts.put(key, octets)

    async def _put_in_parts(self, key: str, first: Sequence[bytes], rest: AsyncIterator[bytes]) -> None:
        file = self._folders.growing(key)
        try:
            pieces, more = first, True
            while pieces:
                async with self._step("put part") as span:
                    span.note(octets=sum(map(len, pieces)))
                    await self._run(partial(file.write, pieces), self._long)
                pieces, more = await gather(rest, PIECE) if more else ((), False)
            async with self._step("put end"):
                await self._run(file.finish, self._long)
        except BaseException:
            # A disk that hangs is not waited for without end; the file is taken away when it goes on.
            await asyncio.wait({asyncio.ensure_future(self._run(file.give_up, self._long))}, timeout=self._deadline)
            raise

    def _present(self) -> Path:
        """The root. Raises NotADirectoryError without it: then no blob is missing, the whole store is."""
        if not self._root.is_dir():
            raise NotADirectoryError(str(self._root))
        return self._root

    async def _run(self, work: Callable[[], Result], threads: Executor | None = None) -> Result:
        return await asyncio.get_running_loop().run_in_executor(threads or self._threads, work)


def _read(path: Path, start: int, end: int) -> bytes:
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        found = [os.pread(file, max(0, end - start), start)]
        # One call reads less than asked for only at the end, or above 2 GiB.
        while found[-1] and sum(map(len, found)) < end - start:
            found.append(os.pread(file, end - start - sum(map(len, found)), start + sum(map(len, found))))
    finally:
        os.close(file)
    return found[0] if len(found) == 1 else b"".join(found)


def _unlink(root: Path, keys: Sequence[str]) -> None:
    for key in keys:
        (root / key).unlink(missing_ok=True)
        _prune(root, root / key)


def _prune(root: Path, path: Path) -> None:
    """Remove the directories above `path` that are empty now."""
    for folder in path.parents:
        if folder == root:
            return
        try:
            folder.rmdir()
        except OSError:
            # Not empty, or another process was faster.
            return


def _walk(root: Path, above: str, after: str) -> Iterator[StoredBlob]:
    """The blobs below the folder of `root` whose key is `above`, in the order of their whole keys."""
    for name, entry in _entries(root, above):
        key = above + name
        if entry.is_dir(follow_symlinks=False):
            # All below sorts between `key` and the next name: skip it if that is behind us.
            if key >= after or after.startswith(key):
                yield from _walk(root, key, after)
        elif key > after and entry.is_file(follow_symlinks=False) and (blob := _blob(key, entry)) is not None:
            yield blob


def _entries(root: Path, above: str) -> "list[tuple[str, os.DirEntry[str]]]":
    try:
        with os.scandir(root / above) as found:
            named = [(f"{each.name}/" if each.is_dir(follow_symlinks=False) else each.name, each) for each in found]
    except (FileNotFoundError, NotADirectoryError):
        return []
    _take_away_left(root, above, [each for _, each in named])
    # A directory's name sorts with its slash, as it does in whole keys: `a-b` before `a/b`.
    return sorted((pair for pair in named if is_key(pair[1].name)), key=lambda pair: pair[0])


def _take_away_left(root: Path, above: str, entries: "Sequence[os.DirEntry[str]]") -> None:
    """Unlink the files that a crash left on their way: they are no keys, so nothing else would ever find them."""
    for entry in entries:
        if is_under_way(entry.name):
            # Whoever put it may have ended meanwhile; a walk that may not write leaves it.
            with contextlib.suppress(OSError):
                facts = entry.stat(follow_symlinks=False)
                if stat.S_ISREG(facts.st_mode) and time.time() - facts.st_mtime > LEFT_AFTER:
                    _unlink(root, [above + entry.name])


def _blob(key: str, entry: "os.DirEntry[str]") -> StoredBlob | None:
    try:
        facts = entry.stat(follow_symlinks=False)
    except FileNotFoundError:
        return None
    return StoredBlob(key, facts.st_size, datetime.fromtimestamp(facts.st_mtime, UTC))
