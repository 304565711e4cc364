"""What was told wrongly: G7, G8, G9, and G14 of refusals."""

from collections.abc import Sequence

from tests.faults.operations import Operation
from tests.faults.telling import Teller, digest

X, Y = {"x": 1}, {"y": 2}


def reused(t: Teller) -> Sequence[Operation]:
    t.deliver(1)
    t.opened("a", X).dele("a", 1)
    t.quit("a")
    t.deliver(2)
    return t.last_look({"x": 2})


def changed(t: Teller) -> Sequence[Operation]:
    t.deliver(1)
    t.opened("a", X).quit("a")
    return t.last_look({"other": 1})


def twice_the_same(t: Teller) -> Sequence[Operation]:
    t.deliver(1)
    t.deliver(2)
    t.tell("login", session="a", secret="1")
    t.tell("uidl", session="a", ids={1: "x", 2: "x"})
    return t.last_look(X | Y)


def other_octets(t: Teller) -> Sequence[Operation]:
    t.deliver(1)
    t.tell("login", session="a", secret="1")
    t.tell("uidl", session="a", ids={1: "x"})
    t.retr("a", 1, 1, sent=digest("something else"))
    return t.last_look(X)


def other_octets_than_before(t: Teller) -> Sequence[Operation]:
    t.deliver(1)
    t.opened("a", X)
    t.retr("a", 1, 1, sha256=digest("other trace lines"))
    return t.last_look(X)


def a_strangers_text(t: Teller) -> Sequence[Operation]:
    t.deliver(1)
    return t.last_look(X | {"stranger": 9})


def another_top(t: Teller) -> Sequence[Operation]:
    t.deliver(1)
    t.opened("a", X)
    t.tell("top", session="a", number=1, lines=0, sha256=digest("header"), octets=90)
    t.tell("top", session="a", number=1, lines=0, sha256=digest("short header"), octets=80)
    return t.last_look(X)


def wrong_octets_listed(t: Teller) -> Sequence[Operation]:
    t.deliver(1)
    t.tell("login", session="a", secret="1")
    t.listed("a", ["x"], [111])
    t.retr("a", 1, 1)
    return t.last_look(X)


def wrong_sum(t: Teller) -> Sequence[Operation]:
    t.deliver(1)
    t.opened("a", X).tell("stat", session="a", count=1, octets=999)
    return t.last_look(X)


def numbers_move(t: Teller) -> Sequence[Operation]:
    t.deliver(1)
    t.opened("a", X)
    t.deliver(2)
    t.listed("a", ["x", "y"], [110, 120])
    return t.last_look(X | Y)


def not_frozen(t: Teller) -> Sequence[Operation]:
    t.tell("login", session="a", secret="1")
    t.deliver(1)
    t.tell("uidl", session="a", ids={1: "x"})
    return t.last_look(X)


def plain_refusal(t: Teller) -> Sequence[Operation]:
    t.deliver(1)
    t.opened("a", X).tell("retr", "fail", "-ERR Sorry", "a", number=1)
    return t.last_look(X)


def given_back(t: Teller) -> Sequence[Operation]:
    t.deliver(1, "fail", "554 5.3.0 Database down")
    return t.last_look({})
