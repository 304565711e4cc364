"""The page says what a person must know of a campaign: the verdict, the faults, and for how long nothing went."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.faults.checking import judge
from tests.faults.checking.faults import spans
from tests.faults.operations import Operation
from tests.faults.report import main
from tests.faults.reporting.page import page
from tests.faults.reporting.picture import timeline
from tests.faults.reporting.service import gaps, of_kind, worst
from tests.faults.stories import keeping
from tests.faults.telling import IN_USE, LATER, Teller


def with_an_outage(t: Teller) -> Sequence[Operation]:
    t.deliver(1)
    t.tell("login", session="a", secret="1", address="anna@a.example", server="front 1")
    t.tell("fault", what="Postgres <silent>", touches=["postgres"], client="nemesis")
    t.tell("login", "fail", IN_USE, "b", secret="1", address="anna@a.example", server="front 1")
    t.tell("login", "fail", LATER, "c", secret="1", address="anna@a.example", server="front 1")
    t.tell("login", "unknown", session="d", secret="1", address="anna@a.example", server="front 1")
    t.quit("a")
    t.tell("mended", what="Postgres <silent>", client="nemesis")
    t.tell("login", session="e", secret="1", address="anna@a.example", server="front 1")
    t.quit("e")
    t.tell("fault", what="Redis late, as the logs say (1)", touches=["redis"])
    t.tell("fault", what="never mended", touches=["front 1"])
    return t.last_look({"x": 1})


def written(history: Sequence[Operation], folder: Path) -> Path:
    path = folder / "history.jsonl"
    path.write_text("".join(json.dumps(asdict(one)) + "\n" for one in history), "utf-8")
    return path


def test_a_gap_lasts_from_one_that_was_served_to_the_next_while_others_were_not() -> None:
    history = with_an_outage(Teller())
    refused, _, _, back = [one for one in history if one.kind == "login"][1:]
    (gap,) = gaps(of_kind(history, "login"))
    assert (gap.began, gap.ended, gap.tried) == (refused.ended, back.ended, 2)
    assert gaps(of_kind(history, "deliver")) == []


def test_a_gap_is_that_of_a_fault_if_it_was_under_way_then_or_soon_after() -> None:
    history = with_an_outage(Teller())
    outage, *others = spans(history)
    found = gaps(of_kind(history, "login"))
    assert worst(found, outage, outage.ended) == found[0]
    assert worst(found, others[-1], others[-1].began) is None


def test_who_did_not_wait_for_an_answer_was_not_left_without() -> None:
    t = Teller()
    t.tell("quit", "unknown", session="a", waited=False)
    t.tell("quit", "unknown", session="b", waited=True)
    assert [one.session for one in of_kind(t.told, "quit")] == ["b"]


def test_the_picture_is_well_formed_and_shows_every_fault_and_violation() -> None:
    history = with_an_outage(Teller())
    titles = [each.text for each in ElementTree.fromstring(timeline(history, ())).iter() if each.tag.endswith("title")]  # noqa: S314 - our own
    assert "Postgres <silent>, 5.5 s; touches postgres" in titles
    assert "never mended, never mended; touches front 1" in titles
    broken = keeping.half_removed(Teller())
    violations = judge(broken)
    assert f"1. {violations[0]}" in timeline(broken, violations).replace("&#x27;", "'")


def test_the_page_tells_the_verdict_the_faults_and_what_failures_said() -> None:
    history = with_an_outage(Teller())
    told = page("Seed 7", history, judge(history))
    assert "No violation" in told
    assert "Postgres &lt;silent&gt;" in told
    assert "<silent>" not in told
    assert "[IN-USE] Maildrop locked" in told
    picture, _, tables = told.partition("</svg>")
    assert "as the logs say" in picture
    assert "as the logs say" not in tables


def test_the_page_shows_each_violation_with_its_operations(tmp_path: Path) -> None:
    history = written(keeping.half_removed(Teller()), tmp_path)
    assert main([str(history), str(tmp_path / "page.html")]) == 1
    told = (tmp_path / "page.html").read_text("utf-8")
    assert "others that were marked with it are still listed" in told
    assert "quit unknown" in told


def test_a_good_history_ends_well_and_none_at_all_does_not(tmp_path: Path) -> None:
    assert main([str(written(with_an_outage(Teller()), tmp_path)), str(tmp_path / "page.html")]) == 0
    (tmp_path / "empty").write_text("")
    assert main([str(tmp_path / "empty"), str(tmp_path / "page.html")]) == 2


@pytest.mark.parametrize("seconds", [0.0, 30.0, 7200.0])
def test_any_length_has_a_picture(seconds: float) -> None:
    t = Teller()
    t.deliver(1)
    t.now += seconds
    t.deliver(2)
    ElementTree.fromstring(timeline(t.told, ()))  # noqa: S314 - our own
