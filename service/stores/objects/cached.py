"""Files that the kernel holds in memory, read without waiting for a disk.

Owns how that is asked: a file is opened only if its name is known already, and read only where all of it is in the page
cache, so that the event loop may do it. What isn't so, and a system that can't say, is None: threads read that. Refuses
to know keys, and to tell why.
openat2(2) RESOLVE_CACHED (Linux 5.12), preadv2(2) RWF_NOWAIT.
"""

import ctypes
import os
import platform
import sys

_OPENAT2 = 437
"""The number of the call, the same on every processor that Poplar runs on."""
_RESOLVE_CACHED = 0x20
_AT_FDCWD = -100
MOST_OCTETS = 64 * 1024
"""Of a longer file nothing is read: it would keep the event loop too long."""


class _How(ctypes.Structure):
    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


_HOW = _How(os.O_RDONLY | os.O_CLOEXEC, 0, _RESOLVE_CACHED)
_WHERE, _SIZE = ctypes.byref(_HOW), ctypes.sizeof(_HOW)
_LINUX = sys.platform == "linux" and platform.machine() in {"x86_64", "aarch64"}
_syscall = ctypes.CDLL(None).syscall


def read_cached(path: str, octets: int) -> bytes | None:
    """The first `octets` of the file, if they are in memory; never waits for a disk or a network."""
    if not _LINUX or not 0 < octets <= MOST_OCTETS:
        return None
    file = _syscall(_OPENAT2, _AT_FDCWD, os.fsencode(path), _WHERE, _SIZE)
    if file < 0:
        return None
    try:
        room = bytearray(octets)
        return bytes(room) if os.preadv(file, [room], 0, os.RWF_NOWAIT) == octets else None
    except OSError:
        return None
    finally:
        os.close(file)
