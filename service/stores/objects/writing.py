"""Octets of a file: all of them given to the kernel, that it is to begin to write them, and the end of it.

Owns how that is asked, where it can be: sync_file_range(2), Linux. It makes nothing durable, and where a file system
doesn't know it, what waits for the disk waits longer. Whoever waits so is told of what could not be written, and
fsync(2) isn't told again: so an error is one here, too. Files whose writing has begun share the journal's commits.
"""

import contextlib
import ctypes
import errno
import os
from collections.abc import Sequence

_AT_ONCE = 512
"""Pieces in one call: half of what Linux takes."""
_WAIT_BEFORE = 1
_WRITE = 2
"""As SYNC_FILE_RANGE_ names them."""
_call = getattr(ctypes.CDLL(None, use_errno=True), "sync_file_range", None)
_ALL = ctypes.c_int64(0)
_UNKNOWN = {errno.ENOSYS, errno.EINVAL, errno.ESPIPE, errno.EOPNOTSUPP, errno.EPERM}
"""What a kernel, a file system or a sandbox answers that doesn't do this."""


def start_writing(descriptor: int) -> None:
    """Have what was written to the file go to the disk from now on. Raises OSError."""
    _ask(descriptor, _WRITE)


def keep_writing(descriptor: int) -> None:
    """The same, once what began to go to the disk before has come there: so no more than that is on its way.

    Raises OSError: some of it didn't come there.
    """
    _ask(descriptor, _WAIT_BEFORE | _WRITE)


def _ask(descriptor: int, flags: int) -> None:
    if _call is not None and _call(descriptor, _ALL, _ALL, flags) != 0:
        number = ctypes.get_errno()
        if number not in _UNKNOWN:
            raise OSError(number, os.strerror(number))


def write_all(descriptor: int, pieces: Sequence[bytes]) -> None:
    """Write all of them, in as few calls as the kernel allows. Raises OSError."""
    left = [memoryview(piece) for piece in pieces]
    while left:
        written = os.writev(descriptor, left[:_AT_ONCE])
        while left and written >= len(left[0]):
            written -= len(left.pop(0))
        if written:
            left[0] = left[0][written:]


def close(descriptor: int) -> None:
    """Close it, whatever the file system says to that (EIO, on NFS): what has to be on the disk was synced before.

    The number is free even then, and may be another file's at once: so nobody may close it again (close(2)).
    """
    with contextlib.suppress(OSError):
        os.close(descriptor)
