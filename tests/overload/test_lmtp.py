"""Hostile senders by LMTP, in short: what they send is taken or refused, and nothing of them is left. G15, G18.

RFC 2033 §4.2, RFC 3030 §2 (a chunk that never comes to its end), RFC 5321 §4.5.3.1.8 (recipients).
"""

from collections.abc import Iterator

import pytest

from tests.backends.demo import RunningDemo
from tests.overload.lmtp import SHORT, Ground, Scenario, ground, measured


@pytest.fixture(scope="module")
def besieged(demo: RunningDemo, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    with ground(demo, tmp_path_factory.mktemp("besieged")) as on:
        yield on


@pytest.mark.parametrize("scenario", SHORT, ids=lambda scenario: scenario.kind)
def test_hostile_senders_leave_nothing_behind_and_disturb_no_good_one(besieged: Ground, scenario: Scenario) -> None:
    row = measured(besieged, scenario)
    assert row.unexpected == {}
    assert set(row.heard) <= {"250", "354", "452", "550"}, row.heard
