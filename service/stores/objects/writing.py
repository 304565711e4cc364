"""Octets of a file: all of them given to the kernel, that it is to begin to write them, and the end of it.

Owns how that is asked, where it can be: sync_file_range(2), Linux. A hint: it makes nothing durable, and where it comes
to nothing, what waits for the disk waits longer. Files whose writing has begun share the journal's commits.
"""

import contextlib
import ctypes
import os
from collections.abc import Sequence

_AT_ONCE = 512
"""Pieces in one call: half of what Linux takes."""
_WAIT_BEFORE = 1
_WRITE = 2
"""As SYNC_FILE_RANGE_ names them."""
_call = getattr(ctypes.CDLL(None), "sync_file_range", None)
_ALL = ctypes.c_int64(0)


def start_writing(descriptor: int) -> None:
    """Have what was written to the file go to the disk from now on."""
    if _call is not None:
        _call(descriptor, _ALL, _ALL, _WRITE)


def keep_writing(descriptor: int) -> None:
    """The same, once what began to go to the disk before has come there: so no more than that is on its way."""
    if _call is not None:
        _call(descriptor, _ALL, _ALL, _WAIT_BEFORE | _WRITE)


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
