"""Thousands of schedules of front ends, deliveries and sweeps with a fault at any await; and bugs that they must find.

G1-G9, G11, G14, G15, G18 under F1-F5, F7-F13 as far as the ports show them. A failure names its seed and the command
that runs it again. RFC 1939 §6 and §8: what is removed, and that only one session at a time holds a maildrop.
"""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

from tests.simulation.__main__ import told
from tests.simulation.bugs import BUGS, NEEDS, Bug
from tests.simulation.closed import small
from tests.simulation.faults import FAULTS
from tests.simulation.schedule import run

SEEDS = 1000
PARTS = 10
ENOUGH = 200
"""Seeds within which each bug is found."""


@pytest.fixture(autouse=True)
def _small() -> Iterator[None]:
    with small():
        yield


@pytest.mark.parametrize("part", range(PARTS))
def test_whatever_goes_wrong_at_whichever_await_the_guarantees_hold(part: int) -> None:
    failed = [result for seed in range(part, SEEDS, PARTS) if (result := run(seed)).wrong]
    assert not failed, "\n".join(map(told, failed))


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.__name__)
def test_a_bug_is_found_within_a_bounded_number_of_seeds(bug: Callable[[], Bug]) -> None:
    with bug():
        assert any(run(seed, NEEDS.get(bug)).wrong for seed in range(ENOUGH))


def test_a_seed_gives_the_same_schedule_again_and_another_seed_another() -> None:
    first, again, other = run(3), run(3), run(7)
    assert (first.trace, first.steps) == (again.trace, again.steps)
    assert first.trace != other.trace


@pytest.mark.parametrize("hash_seed", ["0", "4711"])
def test_a_seed_gives_the_same_schedule_in_another_process(hash_seed: str) -> None:
    """Sets of texts are in another order there."""
    program = (
        "from tests.simulation.closed import small\n"
        "from tests.simulation.schedule import run\n"
        "with small():\n"
        "    print(*(run(seed).trace for seed in range(10)))"
    )
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
    told = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert told.stdout.split() == [run(seed).trace for seed in range(10)]


def test_schedules_reach_every_kind_of_fault() -> None:
    seen = {name for seed in range(60) for name in run(seed).faults}
    assert set(FAULTS) <= seen
