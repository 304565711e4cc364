"""How a thread that computes stands back behind whatever else wakes up on its core, of this process or of another.

Owns how much of a contended core it asks for, and how long the pieces are. Its share isn't smaller for their being
longer, so it never starves: it is only passed by those that ask for less at a time. Refuses to know what is computed.
Where the system knows no niceness of threads, or won't hear of pieces, the thread is as it was.
setpriority(2), sched_setattr(2) with a runtime under SCHED_OTHER (Linux 6.12).
"""

import contextlib
import ctypes
import os
import platform
import sys
import threading

NICENESS = 10
"""By how much the threads that compute stand back behind the event loop, which serves everybody else."""
SLICE = 0.0035
"""Seconds of a core that are asked for at a time: more than any kernel's own, 3 ms at most. Whoever wakes up and
asks for less, as all do that ask for nothing, may have the core at once. Much longer ones have this process wait longer
for its own turn where other groups keep the core full."""

_SCHED_SETATTR = {"x86_64": 314, "aarch64": 274}.get(platform.machine()) if sys.platform == "linux" else None
_KEEP_POLICY = 0x08


class _Attributes(ctypes.Structure):
    """`struct sched_attr`, as it was first."""

    _fields_ = (
        ("size", ctypes.c_uint32),
        ("policy", ctypes.c_uint32),
        ("flags", ctypes.c_uint64),
        ("nice", ctypes.c_int32),
        ("priority", ctypes.c_uint32),
        ("runtime", ctypes.c_uint64),
        ("deadline", ctypes.c_uint64),
        ("period", ctypes.c_uint64),
    )


def stand_back() -> None:
    """Have this thread compute when others leave time; a kernel or a sandbox that refuses is let be."""
    if sys.platform != "linux":
        return
    thread = threading.get_native_id()
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, thread, os.getpriority(os.PRIO_PROCESS, thread) + NICENESS)
    ask_for(SLICE)


def ask_for(seconds: float) -> None:
    """Have this thread ask for so much of a core at a time, 0 for as much as others do; who refuses is let be."""
    if _SCHED_SETATTR is None:
        return
    # Without the call in the C library, it isn't to be had either.
    with contextlib.suppress(OSError, AttributeError):
        thread = threading.get_native_id()
        nice = os.getpriority(os.PRIO_PROCESS, thread)
        asked = _Attributes(flags=_KEEP_POLICY, nice=nice, runtime=int(seconds * 1e9))
        asked.size = ctypes.sizeof(asked)
        ctypes.CDLL(None).syscall(_SCHED_SETATTR, thread, ctypes.byref(asked), 0)
