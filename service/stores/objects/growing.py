"""A long file on its way into a local directory, piece by piece, each written by some thread.

Owns that the disk begins with a piece as soon as it is written, and has it before the next but one: else all of the
file would be brought there at its end, and whoever makes a short file durable meanwhile would wait for it. Nothing is
left of one that is given up, even in the middle of a call: then whoever makes the call takes it away. Refuses to know
where the pieces come from.
"""

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Protocol

from service.stores.objects.writing import close, keep_writing, write_all


class Folder(Protocol):
    """An open directory."""

    file: int


@dataclass(slots=True)
class Begun:
    """A file that is open, and what it is called until it is whole."""

    folder: Folder
    name: str
    descriptor: int


class GrowingFile:
    """A file that nobody sees before `finish`; `begin` makes it when it is first written to.

    Each call may be another thread's, one after the other; but `give_up` may come at any time.
    """

    def __init__(self, name: str, begin: Callable[[], Begun]) -> None:
        self._name = name
        self._begin = begin
        self._begun: Begun | None = None
        self._busy = Lock()
        self._given_up = False

    def write(self, pieces: Sequence[bytes]) -> None:
        """Put these at the end. Raises OSError."""
        with self._in_turn():
            begun = self._begun = self._begun or self._begin()
            write_all(begun.descriptor, pieces)
            keep_writing(begun.descriptor)

    def finish(self) -> None:
        """Have the file there, durably, by its name. Raises OSError."""
        with self._in_turn():
            begun = self._begun = self._begun or self._begin()
            os.fsync(begun.descriptor)
            os.rename(begun.name, self._name, src_dir_fd=begun.folder.file, dst_dir_fd=begun.folder.file)
            os.fsync(begun.folder.file)
            self._begun = None
            close(begun.descriptor)

    def give_up(self) -> None:
        """Take away what there is of it, now or as soon as the call that is being made ends."""
        self._given_up = True
        if self._busy.acquire(blocking=False):
            try:
                self._take_away()
            finally:
                self._busy.release()

    @contextlib.contextmanager
    def _in_turn(self) -> Iterator[None]:
        try:
            with self._busy:
                if self._given_up:
                    raise InterruptedError(self._name)
                yield
        finally:
            # Who gave it up meanwhile found that it was busy.
            if self._given_up:
                self.give_up()

    def _take_away(self) -> None:
        begun, self._begun = self._begun, None
        if begun is not None:
            close(begun.descriptor)
            with contextlib.suppress(OSError):
                os.unlink(begun.name, dir_fd=begun.folder.file)
