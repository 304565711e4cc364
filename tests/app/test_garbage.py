"""The collector stops a serving process seldom, and frees rings all the same."""

import subprocess
import sys

SESSIONS_COME_AND_GO = """
import gc
from service.app.garbage import YOUNG, keep_what_is_there
keep_what_is_there()
before = gc.get_stats()
crowd = []
for _ in range(20):
    crowd += [[] for _ in range(YOUNG // 2)]
    del crowd[:]
print(sum(now["collections"] - was["collections"] for now, was in zip(gc.get_stats(), before)))
"""
RINGS = """
import gc
from service.app.garbage import YOUNG, keep_what_is_there
keep_what_is_there()
before = gc.get_stats()
for _ in range(YOUNG * 2):
    ring = []
    ring.append(ring)
print(sum(now["collected"] - was["collected"] for now, was in zip(gc.get_stats(), before)))
"""


def run(program: str) -> int:
    """What a process of its own prints: the collector is one for a whole process."""
    return int(subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, text=True).stdout)


def test_a_crowd_of_sessions_that_comes_and_goes_has_nothing_collected() -> None:
    assert run(SESSIONS_COME_AND_GO) == 0


def test_rings_are_freed_without_anybody_asking() -> None:
    assert run(RINGS) > 0
