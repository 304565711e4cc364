"""Each defect put into Poplar is found by the checker, and Poplar as it is passes the same scenario.

G1 to G9, G11, G14, G18. RFC 1939 §6, RFC 2033 §4.2, RFC 2595 §9.
"""

import asyncio
from collections.abc import Callable

import pytest

from tests.faults.seeded import scenarios
from tests.faults.seeded.backends import on_servers
from tests.faults.seeded.defect import run
from tests.faults.seeded.every import DEFECTS, Defect
from tests.faults.seeded.scenarios import Scenario
from tests.faults.seeded.stage import MakeStores, in_memory

TLS = {scenarios.somebody_stands_in_the_middle}
HONEST = {(one.scenario, one.real): one for one in DEFECTS.values()}
Servers = Callable[[bool], MakeStores]


@pytest.fixture
def stores(request: pytest.FixtureRequest) -> Servers:
    """The stores, in memory or on servers."""

    def chosen(real: bool) -> MakeStores:
        if not real:
            return in_memory
        return on_servers(str(request.getfixturevalue("migrated_dsn")), str(request.getfixturevalue("redis_url")))

    return chosen


@pytest.mark.parametrize("defect", DEFECTS.values(), ids=lambda defect: defect.name)
def test_a_defect_is_found(defect: Defect, stores: Servers) -> None:
    chosen = stores(defect.real)
    _, violations = asyncio.run(run(defect.scenario, defect, chosen, tls=defect.scenario in TLS))
    assert defect.guarantees & {one.guarantee for one in violations}, violations


@pytest.mark.parametrize(
    ("scenario", "real"),
    [pytest.param(*each, id=f"{each[0].__name__}{'-on-servers' * each[1]}") for each in HONEST],
)
def test_without_a_defect_the_same_scenario_keeps_every_guarantee(
    scenario: Scenario, real: bool, stores: Servers
) -> None:
    history, violations = asyncio.run(run(scenario, None, stores(real), tls=scenario in TLS))
    assert [str(one) for one in violations] == []
    assert any(one.kind == "final" and one.outcome == "ok" for one in history)


def test_there_are_at_least_twenty_defects_and_each_guarantee_that_is_checked_has_one() -> None:
    assert len(DEFECTS) >= 20
    guarded = frozenset[str]().union(*(one.guarantees for one in DEFECTS.values()))
    assert guarded >= {"G1", "G2", "G3", "G4", "G5", "G6", "G7", "G8", "G9", "G11", "G14", "G18"}
