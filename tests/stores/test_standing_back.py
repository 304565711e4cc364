"""The threads that compute stand back, as far as the kernel and the sandbox let them. D34."""

import ctypes
import os
import platform
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from service.stores.standing_back import NICENESS, SLICE, ask_for, stand_back

NUMBERS = {"x86_64": (315, 314, 140, 141, 317), "aarch64": (275, 274, 141, 140, 277)}
GETATTR, SETATTR, GETPRIORITY, SETPRIORITY, SECCOMP = NUMBERS.get(platform.machine(), (0, 0, 0, 0, 0))
pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or platform.machine() not in NUMBERS, reason="asks the Linux kernel"
)
LIBC = ctypes.CDLL(None, use_errno=True)
KNOWS_SLICES = tuple(map(int, platform.release().split(".")[:2])) >= (6, 12)


def on_a_thread(*work: Callable[[], object]) -> list[object]:
    """What each gave; what a thread does to itself ends with it."""
    with ThreadPoolExecutor(1) as thread:
        return [thread.submit(each).result() for each in work]


def niceness() -> int:
    return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())


def slice_asked_for() -> float:
    """Seconds that this thread asks for at a time; 0 where the kernel knows none."""
    said = (ctypes.c_uint64 * 6)()
    assert LIBC.syscall(GETATTR, threading.get_native_id(), ctypes.byref(said), ctypes.sizeof(said), 0) == 0
    return float(said[3]) / 1e9


def policy() -> int:
    return os.sched_getscheduler(threading.get_native_id())


def be_refused(*calls: int) -> None:
    """Have this thread in a sandbox, as a container runtime's is, in which these calls are refused with EPERM."""

    class Step(ctypes.Structure):
        _fields_ = (("code", ctypes.c_ushort), ("yes", ctypes.c_ubyte), ("no", ctypes.c_ubyte), ("k", ctypes.c_uint32))

    class Program(ctypes.Structure):
        _fields_ = (("length", ctypes.c_ushort), ("steps", ctypes.POINTER(Step)))

    load, equal, answer = 0x20, 0x15, 0x06
    refuse, allow = 0x0005_0001, 0x7FFF_0000
    steps = (Step * (len(calls) + 3))(
        Step(load, 0, 0, 0),
        *(Step(equal, left, 0, call) for left, call in zip(range(len(calls), 0, -1), calls, strict=True)),
        Step(answer, 0, 0, allow),
        Step(answer, 0, 0, refuse),
    )
    no_new_privileges, set_filter = 38, 1
    assert LIBC.prctl(no_new_privileges, 1, 0, 0, 0) == 0
    program = Program(len(steps), steps)
    assert LIBC.syscall(SECCOMP, set_filter, 0, ctypes.byref(program)) == 0, os.strerror(ctypes.get_errno())


def test_d34_a_thread_that_stands_back_asks_for_less_of_the_core_and_in_longer_pieces() -> None:
    was, before, _, now, asked, after = on_a_thread(niceness, policy, stand_back, niceness, slice_asked_for, policy)
    assert isinstance(was, int)
    assert now == min(was + NICENESS, 19)
    assert asked == (SLICE if KNOWS_SLICES else 0)
    # Not SCHED_IDLE: a first login must go on where others leave nothing.
    assert before == after == os.SCHED_OTHER


def test_d34_the_thread_that_asks_is_alone_in_it() -> None:
    before = niceness(), slice_asked_for()
    on_a_thread(stand_back)
    assert (niceness(), slice_asked_for()) == before


def test_d34_a_sandbox_that_refuses_is_let_be() -> None:
    refused = partial(be_refused, SETATTR, SETPRIORITY)
    _, was, back, now = on_a_thread(refused, niceness, stand_back, niceness)
    assert back is None
    assert now == was


def test_d34_a_sandbox_that_tells_no_niceness_is_let_be() -> None:
    """What raises here breaks the pool whose threads begin so, and with it every first login."""
    assert on_a_thread(partial(be_refused, GETPRIORITY), stand_back, partial(ask_for, 0.0)) == [None, None, None]


def test_g16_a_thread_that_asked_for_much_asks_for_as_much_as_others_again() -> None:
    was, _, much, _, usual, now = on_a_thread(
        niceness, lambda: ask_for(SLICE), slice_asked_for, lambda: ask_for(0.0), slice_asked_for, niceness
    )
    assert much == (SLICE if KNOWS_SLICES else 0)
    assert isinstance(usual, float)
    assert usual < SLICE
    assert now == was
