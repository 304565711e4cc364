"""The checker finds each thing that may not be, by the guarantee that forbids it, and nothing where all is well.

Each history here is made by hand; others are made by a model (`test_checker_model.py`) and by Poplar with a defect
put in (`seeded/`). G1 to G9, G11, G14, G18.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import pytest

from tests.faults.checker import main
from tests.faults.checking import judge
from tests.faults.operations import Operation
from tests.faults.stories import STORIES, Story, keeping
from tests.faults.telling import AUTH, IN_USE, LATER, LOST, OUTCOME_UNKNOWN, Teller

X, Y, Z = {"x": 1}, {"y": 2}, {"z": 3}


def clean(t: Teller) -> Sequence[Operation]:
    """Everything that may be."""
    t.tell("password", secret="1")
    t.deliver(1)
    t.deliver(2, "unknown")
    t.deliver(2)
    t.opened("a", X | Y | {"y2": 2})
    t.tell("login", "fail", IN_USE, "b", secret="1")
    t.tell("login", "fail", AUTH, "c", secret="wrong")
    t.dele("a", 1)
    t.tell("rset", session="a")
    t.dele("a", 2)
    t.tell("stat", session="a", count=2, octets=110 + 120)
    t.tell("retr", "fail", "-ERR No such message", "a", number=2)
    t.tell("retr", "fail", LATER, "a", number=3)
    t.quit("a")
    t.opened("d", X | {"y2": 2})
    t.dele("d", 1, 2)
    t.quit("d", "unknown")
    t.opened("e", {})
    t.quit("e")
    t.deliver(3, "fail")
    t.deliver(3)
    t.opened("f", Z)
    t.dele("f", 1)
    t.quit("f", "fail", OUTCOME_UNKNOWN)
    t.opened("g", Z)
    t.dele("g", 1)
    t.tell("dropped", session="g")
    t.tell("password", secret="2")
    t.opened("h", Z, secret="2")
    t.tell("fault", what="Redis emptied", touches=["redis"])
    t.tell("mended", what="Redis emptied")
    t.opened("i", Z, secret="2")
    t.tell("noop", session="h")
    t.dele("h", 1)
    t.quit("h", "fail", LOST)
    t.quit("i")
    t.tell("suspend")
    t.tell("login", "fail", AUTH, "j", secret="2")
    t.tell("resume")
    t.tell("login", "fail", IN_USE, "k", secret="2")
    return t.last_look(Z)


def test_a_history_of_everything_that_may_be_has_no_violation() -> None:
    assert [str(one) for one in judge(clean(Teller()))] == []


@pytest.mark.parametrize(
    ("guarantee", "story"),
    [pytest.param(name, story, id=story.__name__) for name, stories in STORIES.items() for story in stories],
)
def test_what_may_not_be_is_found_by_the_guarantee_that_forbids_it(guarantee: str, story: Story) -> None:
    history = story(Teller())
    violations = judge(history)
    assert guarantee in {one.guarantee for one in violations}, violations
    assert all(one.operations for one in violations)
    assert {n for one in violations for n in one.operations} <= {one.n for one in history}


def test_each_violation_is_told_with_its_operations(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "history.jsonl"
    path.write_text("".join(json.dumps(asdict(one)) + "\n" for one in keeping.half_removed(Teller())), "utf-8")
    assert main([str(path)]) == 1
    told = capsys.readouterr().out
    assert "G3 anna@a.example: x is gone, and others that were marked with it are still listed" in told
    assert "quit unknown" in told


def test_a_history_that_fits_is_told_to(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "history.jsonl"
    path.write_text("".join(json.dumps(asdict(one)) + "\n" for one in clean(Teller())), "utf-8")
    assert main([str(path)]) == 0
    assert "0 violations" in capsys.readouterr().out


def test_what_is_no_history_is_not_judged(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("nonsense\n", "utf-8")
    (tmp_path / "empty").write_text("", "utf-8")
    assert [main([str(tmp_path / name)]) for name in ("x", "absent", "empty")] == [2, 2, 2]
