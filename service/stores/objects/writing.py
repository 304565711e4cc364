"""Octets of a file that the kernel is to begin to write.

Owns how that is asked, where it can be: sync_file_range(2), Linux. A hint: it makes nothing durable, and where it comes
to nothing, what waits for the disk waits longer. Files whose writing has begun share the journal's commits.
"""

import ctypes

_WRITE = 2
"""SYNC_FILE_RANGE_WRITE."""
_call = getattr(ctypes.CDLL(None), "sync_file_range", None)
_ALL = ctypes.c_int64(0)


def start_writing(descriptor: int) -> None:
    """Have what was written to the file go to the disk from now on."""
    if _call is not None:
        _call(descriptor, _ALL, _ALL, _WRITE)
