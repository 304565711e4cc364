"""A maildrop of 20,000 messages, as `make million` has one of a million: all of it, and nothing else. G3, G9, G15.

RFC 1939 §4 (numbers), §5 (LIST, DELE, RSET), §6 (UPDATE), §7 (UIDL).
"""

from pathlib import Path

import pytest

from tests.backends.demo import RunningDemo
from tests.overload.million import Run, coming_back, reading, removing
from tests.overload.million_after import crowding, staffing, sweeping
from tests.overload.million_rows import fill
from tests.system.clients.letters import PLAIN
from tests.system.clients.maildrop import Maildrop
from tests.system.front_end import TERMINATED, front_end

MESSAGES = 20_000


@pytest.mark.parametrize("imported", [False, True], ids=["own unique-ids", "imported ones"])
def test_a_large_maildrop_is_listed_and_removed_whole(demo: RunningDemo, tmp_path: Path, imported: bool) -> None:
    account, other = demo.new_account(), demo.new_account()
    fill(demo, account, MESSAGES, imported=imported)
    with front_end(demo, tmp_path / "front", (TERMINATED,)) as front:
        run = Run(demo, front, account, MESSAGES, other)
        with run.watched():
            reading(run)
            coming_back(run, lambda: Maildrop(demo, account).deliver([PLAIN]))
            removing(run)
        assert len(run.steps) == 18
        assert front.command.process.poll() is None


def test_several_large_maildrops_are_read_at_once_and_swept(demo: RunningDemo, tmp_path: Path) -> None:
    account, beside, other = demo.new_account(), demo.new_account(), demo.new_account()
    for each in (account, beside):
        fill(demo, each, MESSAGES // 10)
    with front_end(demo, tmp_path / "front", (TERMINATED,)) as front:
        run = Run(demo, front, account, MESSAGES // 10, other)
        with run.watched():
            crowding(run, [account, beside])
            staffing(run, tmp_path / "api")
            sweeping(run)
        assert len(run.steps) == 6
