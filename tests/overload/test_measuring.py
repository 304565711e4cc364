"""What the measures of overload rest on: memory's peak, percentiles of a span, and what is still held."""

import subprocess
import sys
from dataclasses import replace

import pytest

from tests.overload.held import Held, given_back, peak
from tests.overload.waits import Waits, quieter, ratio

LEVEL = Held(descriptors=20, memory=80.0, tasks=9, leases=0, sessions=0, series=300)


# A process of its own: one that ran other tests has room to reuse, and asks the kernel for none.
TAKES_64_MIB_AND_GIVES_THEM_BACK = """
input()
room = bytearray(b"x" * 64) * (1 << 20)
del room
print("gone", flush=True)
input()
"""


def test_the_peak_is_seen_though_the_memory_was_given_back() -> None:
    command = [sys.executable, "-c", TAKES_64_MIB_AND_GIVES_THEM_BACK]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1) as taking:
        assert taking.stdin is not None
        assert taking.stdout is not None
        with peak(taking.pid) as seen:
            taking.stdin.write("\n")
            assert taking.stdout.readline() == "gone\n"
        taking.stdin.write("\n")
    assert seen.risen >= 60


def test_what_is_held_beyond_the_level_is_told_by_name_and_memory_is_judged_apart() -> None:
    assert replace(LEVEL, memory=200.0, tasks=8).beyond(LEVEL) == {}
    assert replace(LEVEL, leases=2, descriptors=30).beyond(LEVEL) == {"leases": 2, "descriptors": 2}
    assert replace(LEVEL, memory=200.0).beyond(LEVEL, allowance=100.0) == {"memory": 20.0}


def test_what_comes_back_to_the_level_is_waited_for_and_what_does_not_fails() -> None:
    looks = iter([replace(LEVEL, tasks=12), replace(LEVEL, tasks=10), LEVEL])
    assert given_back(lambda: next(looks), LEVEL) == LEVEL
    with pytest.raises(AssertionError, match="sessions"):
        given_back(lambda: replace(LEVEL, sessions=1), LEVEL, patience=0.0)


def test_waits_of_a_span_and_their_ratio() -> None:
    quiet, siege = Waits.of([0.010] * 200), Waits.of([0.010] * 190 + [0.025] * 10)
    assert (quiet.count, round(quiet.p99, 3), siege.most) == (200, 10.0, 25.0)
    assert ratio(siege, quiet) == pytest.approx(2.5)
    assert Waits.of([]).count == 0


def test_the_harder_base_of_two_quiet_visits_is_judged_by() -> None:
    first, second = Waits.of([0.045] * 100), Waits.of([0.015] * 100)
    assert quieter(first, second) is quieter(second, first) is second
