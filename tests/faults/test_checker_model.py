"""The checker against a model: what may be is never called a violation, and what is changed in it always is.

The histories are invented by a seed, with overlaps, lost answers and effects that come late (`inventing.py`). Each
change below makes of a lawful history an unlawful one, wherever the history has a place for it.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.faults.checking import judge
from tests.faults.inventing import Invention, retrieved
from tests.faults.operations import Operation
from tests.faults.telling import AUTH, digest

History = Sequence[Operation]
Change = Callable[[History, Random], History | None]
SEEDS, ENOUGH = 60, 5
"""Seeds tried for each change, and how many must have a place for it."""


@given(st.integers(0, 2**64), st.integers(1, 600))
def test_a_lawful_history_has_no_violation(seed: int, steps: int) -> None:
    assert [str(one) for one in judge(Invention(seed, steps).operations)] == []


def changed(history: History, old: Operation, **new: Any) -> History:
    """The history with one operation told otherwise; `facts` are put over its own."""
    new["facts"] = {**old.facts, **new.get("facts", {})}
    return [replace(one, **new) if one is old else one for one in history]


def some(history: History, dice: Random, kind: str, fits: Callable[[Operation], object]) -> Operation | None:
    found = [one for one in history if one.kind == kind and fits(one)]
    return dice.choice(found) if found else None


def ids_of(history: History, session: str | None) -> dict[int, str]:
    told = [one for one in history if one.session == session and one.kind == "uidl" and one.outcome == "ok"]
    return {number: each for one in told for number, each in one.facts["ids"].items()}


def marks_of(history: History, quit_: Operation) -> set[str]:
    ids, marked = ids_of(history, quit_.session), set[str]()
    for one in history:
        if one.session == quit_.session and one.outcome == "ok":
            if one.kind == "dele":
                marked.add(ids[one.facts["number"]])
            elif one.kind == "rset":
                marked.clear()
    return marked


def ever_marked(history: History) -> set[str]:
    deles = [one for one in history if one.kind == "dele"]
    return {ids_of(history, one.session).get(one.facts["number"], "") for one in deles}


def last_look(history: History, ids: dict[str, int]) -> History:
    """The history with other messages in the end."""
    proofs = {unique_id: retrieved(text) for unique_id, text in ids.items()}
    facts: dict[str, Any] = {
        name: {each: proof[name] for each, proof in proofs.items()} for name in ("sha256", "sent", "text")
    }
    facts |= {"ids": list(ids), "octets": [proof["octets"] for proof in proofs.values()]}
    return changed(history, history[-1], facts=facts)


def removed(history: History) -> Iterator[tuple[Operation, set[str]]]:
    """The QUITs that were answered +OK, and what they removed."""
    for one in history:
        if one.kind == "quit" and one.outcome == "ok" and marks_of(history, one):
            yield one, marks_of(history, one)


def texts_seen(history: History) -> dict[str, int]:
    retrs = [one for one in history if one.kind == "retr" and one.outcome == "ok"]
    found = {ids_of(history, one.session).get(one.facts["number"], ""): one.facts["text"] for one in retrs}
    return {unique_id: text for unique_id, text in found.items() if unique_id}


def lose_one_that_was_listed(history: History, dice: Random) -> History | None:
    texts, seen = history[-1].facts["text"], {each for one in history for each in ids_of(history, one.session).values()}
    safe = sorted(set(texts) & seen - ever_marked(history))
    lost = dice.choice(safe) if safe else None
    return last_look(history, {k: v for k, v in texts.items() if k != lost}) if lost else None


def lose_one_that_nobody_saw(history: History, dice: Random) -> History | None:
    texts = history[-1].facts["text"]
    listed = {each for one in history for each in ids_of(history, one.session).values()}
    accepted = {one.facts["text"] for one in history if one.kind == "deliver" and one.outcome == "ok"}
    once = [k for k, v in texts.items() if list(texts.values()).count(v) == 1 and v in accepted]
    unread = listed - set(texts) - set(texts_seen(history))
    fresh = sorted(set(once) - listed)
    return last_look(history, {k: v for k, v in texts.items() if k != fresh[0]}) if fresh and not unread else None


def bring_back_a_removed_one(history: History, dice: Random) -> History | None:
    seen = texts_seen(history)
    gone = sorted(each for _, marked in removed(history) for each in marked if each in seen)
    each = dice.choice(gone) if gone else None
    return last_look(history, {**history[-1].facts["text"], each: seen[each]}) if each else None


def give_a_removed_id_to_another(history: History, dice: Random) -> History | None:
    seen, texts = texts_seen(history), history[-1].facts["text"]
    gone = sorted(each for _, marked in removed(history) for each in marked if each in seen)
    if not gone or not texts:
        return None
    *rest, last = texts
    return last_look(history, {**{each: texts[each] for each in rest}, gone[0]: texts[last]})


def rename_one(history: History, dice: Random) -> History | None:
    texts, seen = history[-1].facts["text"], texts_seen(history)
    safe = sorted(set(texts) & set(seen) - ever_marked(history))
    old = dice.choice(safe) if safe else None
    return last_look(history, {("new" if k == old else k): v for k, v in texts.items()}) if old else None


def double_one(history: History, dice: Random) -> History | None:
    texts = history[-1].facts["text"]
    tried = [one.facts["text"] for one in history if one.kind == "deliver"]
    once = [text for text in texts.values() if tried.count(text) == 1]
    return last_look(history, {**texts, "new": dice.choice(once)}) if once else None


def say_that_nothing_was_removed(history: History, dice: Random) -> History | None:
    quits = [one for one, _ in removed(history)]
    said = "-ERR [SYS/TEMP] This session no longer holds the maildrop, please wait; no message was removed"
    return changed(history, dice.choice(quits), outcome="fail", said=said) if quits else None


def say_that_all_was_removed(history: History, dice: Random) -> History | None:
    left = set(history[-1].facts["text"])
    refused = some(
        history, dice, "quit", lambda one: one.outcome == "fail" and marks_of(history, one) & left and one.said
    )
    return changed(history, refused, outcome="ok", said="+OK Bye") if refused else None


def forget_the_quit(history: History, dice: Random) -> History | None:
    quits = [one for one, _ in removed(history)]
    return changed(history, dice.choice(quits), kind="dropped") if quits else None


def leave_one_out_of_a_listing(history: History, dice: Random) -> History | None:
    left = set(history[-1].facts["text"]) - ever_marked(history)
    listings = [one for one in history if one.kind == "uidl" and one.outcome == "ok"]
    logins = {one.session: one for one in history if one.kind == "login"}
    for one in listings:
        before = {i for o in listings if o.precedes(logins[one.session]) for i in o.facts["ids"].values()}
        out = next((n for n, each in one.facts["ids"].items() if each in left & before), None)
        if out is not None:
            return changed(history, one, facts={"ids": {n: i for n, i in one.facts["ids"].items() if n != out}})
    return None


def say_that_nothing_is_there(history: History, dice: Random) -> History | None:
    stat = some(history, dice, "stat", lambda one: one.outcome == "ok" and one.facts["count"] > 0)
    others = stat and [one for one in history if one.session == stat.session and one.kind in {"list", "uidl", "stat"}]
    if not stat or not others or not any(one.outcome == "ok" and one is not stat for one in others):
        return None
    return changed(history, stat, facts={"count": 0, "octets": 0})


def send_other_octets(history: History, dice: Random) -> History | None:
    fits = set(texts_seen(history))
    retr = some(
        history, dice, "retr", lambda o: o.outcome == "ok" and ids_of(history, o.session).get(o.facts["number"]) in fits
    )
    return changed(history, retr, facts={"sent": digest("other"), "sha256": digest("x")}) if retr else None


def list_other_octets(history: History, dice: Random) -> History | None:
    def fits(one: Operation) -> bool:
        ids, left = ids_of(history, one.session), set(history[-1].facts["text"])
        return one.outcome == "ok" and any(ids.get(number) in left for number in one.facts["octets"])

    listing = some(history, dice, "list", fits)
    if listing is None:
        return None
    ids, left = ids_of(history, listing.session), set(history[-1].facts["text"])
    number = next(each for each in listing.facts["octets"] if ids.get(each) in left)
    return changed(history, listing, facts={"octets": {**listing.facts["octets"], number: 7}})


def let_the_wrong_password_in(history: History, dice: Random) -> History | None:
    login = some(history, dice, "login", lambda one: "[AUTH]" in one.said and one.facts["secret"] == "wrong")
    return changed(history, login, outcome="ok", said="+OK") if login else None


def call_a_right_password_wrong(history: History, dice: Random) -> History | None:
    changes = [one for one in history if one.kind in {"suspend", "password"}]
    login = some(history, dice, "login", lambda one: one.outcome == "ok")
    return changed(history, login, outcome="fail", said=AUTH) if login and len(changes) == 1 else None


def refuse_without_a_code(history: History, dice: Random) -> History | None:
    login = some(history, dice, "login", lambda one: one.outcome == "fail" and "[AUTH]" not in one.said)
    return changed(history, login, said="-ERR Sorry") if login else None


def give_the_mail_back(history: History, dice: Random) -> History | None:
    refused = some(history, dice, "deliver", lambda one: one.outcome == "fail")
    return changed(history, refused, said="554 5.3.0 No") if refused else None


def bring_a_strangers_text(history: History, dice: Random) -> History | None:
    return last_look(history, {**history[-1].facts["text"], "stranger": 999_999})


CHANGES: tuple[Change, ...] = (
    *(lose_one_that_was_listed, lose_one_that_nobody_saw, bring_back_a_removed_one, give_a_removed_id_to_another),
    *(rename_one, double_one, say_that_nothing_was_removed, say_that_all_was_removed, forget_the_quit),
    *(leave_one_out_of_a_listing, say_that_nothing_is_there, send_other_octets, list_other_octets),
    *(let_the_wrong_password_in, call_a_right_password_wrong, refuse_without_a_code, give_the_mail_back),
    bring_a_strangers_text,
)


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_a_changed_history_is_a_violation(change: Change) -> None:
    found = 0
    for seed in range(SEEDS):
        history = change(Invention(seed, 400).operations, Random(seed))
        if history is not None:
            found += 1
            assert judge(history), f"seed {seed}"
    assert found >= ENOUGH
