"""A short campaign with a fixed seed: one thing after another goes wrong under many clients. F1-F12; G1-G9, G14, G18.

`make faults` is the long one. Each mishap is waited out until sessions are opened again, so that no time is asserted.
RFC 1939 §6, RFC 2449 §8.1.2.
"""

from pathlib import Path

import pytest

from tests.backends.demo import all_gone, offspring
from tests.faults.campaign.campaign import BUSY, HISTORY, under_way
from tests.faults.campaign.crowd import Size
from tests.faults.campaign.nemesis import named
from tests.faults.checking import judge
from tests.faults.operations import read

SEED = 1939
SIZE = Size(maildrops=4, readers=10, senders=3)
HASTY = {"deadline": 3.0, "attempt": 1.5}
MISHAPS = named(
    "front end killed",
    "Redis emptied",
    "Postgres failed over",
    "COMMIT's answer lost",
    "store truncates",
    "front end paused",
    "store corrupts",
    "Redis gone",
    "Postgres killed",
    "clock wrong",
    "uploads corrupted",
    "pool exhausted",
    "store answers 503",
    "clients out of reach",
    "clients cut off",
    "front ends replaced",
)


@pytest.mark.timeout(300)
@pytest.mark.xdist_group("campaign")
async def test_whatever_goes_wrong_the_history_of_all_clients_fits_together(tmp_path: Path) -> None:
    async with under_way(tmp_path, SEED, SIZE, redis=BUSY, database=HASTY) as running:
        started = offspring(running.house.cluster.primary.process.pid)
        await running.crowd.await_sessions(20)
        for mishap in MISHAPS:
            await running.nemesis.befall(mishap, 1.3 * running.nemesis.lease if mishap.outlasts_leases else 1.0)
            await running.crowd.await_sessions(10)
    assert all_gone(started)
    history = read((tmp_path / HISTORY).read_text("utf-8").splitlines())
    assert [one.outcome for one in history if one.kind == "final"] == ["ok"] * SIZE.maildrops
    assert [str(violation) for violation in judge(history)] == []
