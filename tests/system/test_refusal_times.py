"""The time of a refusal tells its reason as little as its octets do: D14, G13. RFC 3206 §6, RFC 4616 §2.

A leak is what chance makes once in a million runs or less: an honest build all but never fails, on a machine however
busy, since all reasons share it alike. That a leak is found is shown by a build that has one. `tests.load.refusals`
measures longer, to a probability worth stating.
"""

import random
from pathlib import Path

import pytest

from tests.backends.demo import RunningDemo
from tests.load.refusals import AGAINST, BLOCKED, QUANTUM, Doors, answering, blocked, measured, p_value, told_apart
from tests.system.clients.maildrop import trusting
from tests.system.test_bad_logins import doors_of

ROUNDS = 32
CHANCE = 1e-6


@pytest.fixture(scope="module")
def doors(demo: RunningDemo) -> Doors:
    return doors_of(demo)


def beyond(took: list[float]) -> list[float]:
    """By how much each is beyond a multiple of the delay: at most half of one, which chance adds, and a little."""
    return [(each + QUANTUM / 4) % QUANTUM - QUANTUM / 4 for each in took]


def test_d14_no_reason_s_time_differs_from_a_wrong_password_s(demo: RunningDemo, doors: Doors, tmp_path: Path) -> None:
    every = {**doors, BLOCKED: blocked(demo)}
    with answering(demo, tmp_path / "front", QUANTUM) as front:
        took = measured(front.place(), trusting(demo), every, ROUNDS)
        assert '"cause":"held back: the account from this address' in front.command.said
    unseen = took.pop(BLOCKED)
    assert {reason: p for reason, p in told_apart(took).items() if p < CHANCE} == {}
    # On a machine so busy that one hash takes longer than the delay, a password that is looked at waits another time.
    assert min(unseen) >= 0.9 * QUANTUM
    assert p_value(beyond(took[AGAINST]), beyond(unseen)) >= CHANCE


def test_d14_a_directory_that_answers_sooner_for_unknown_names_is_found_out(
    demo: RunningDemo, doors: Doors, tmp_path: Path
) -> None:
    some = {reason: doors[reason] for reason in (AGAINST, "unknown user", "unknown domain", "disabled user")}
    with answering(demo, tmp_path / "front", QUANTUM, "tests.system.leaking") as front:
        apart = told_apart(measured(front.place(), trusting(demo), some, ROUNDS))
    assert {reason for reason, p in apart.items() if p < CHANCE} == {"unknown user", "unknown domain"}


def test_d14_without_the_delay_unknown_names_still_cost_as_much(
    demo: RunningDemo, doors: Doors, tmp_path: Path
) -> None:
    with answering(demo, tmp_path / "front", 0.0) as front:
        apart = told_apart(measured(front.place(), trusting(demo), doors, ROUNDS))
    assert {reason: p for reason, p in apart.items() if p < CHANCE} == {}


def test_the_judgement_is_fair_and_finds_what_differs() -> None:
    chance = random.Random(14)

    def sample(mean: float) -> list[float]:
        return [chance.gauss(mean, 1.0) for _ in range(60)]

    fair = [p_value(sample(0), sample(0)) for _ in range(400)]
    for limit in (0.05, 0.25, 0.5):
        assert sum(p < limit for p in fair) / len(fair) < limit * 1.3 + 0.01
    assert p_value(sample(0), sample(3)) < CHANCE
    assert p_value([1.0], [1.0]) == 1
