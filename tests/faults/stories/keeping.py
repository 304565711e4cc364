"""What was lost, kept, removed by halves or left out: G1, G2, G3, G14, G18."""

from collections.abc import Sequence

from tests.faults.operations import Operation
from tests.faults.telling import LOST, Teller

X, Y = {"x": 1}, {"y": 2}


def lost(t: Teller) -> Sequence[Operation]:
    t.deliver(1)
    t.deliver(2)
    t.opened("a", X | Y).quit("a")
    return t.last_look(X)


def never_seen(t: Teller) -> Sequence[Operation]:
    t.deliver(1)
    t.deliver(2)
    return t.last_look(X)


def removed_without_quit(t: Teller) -> Sequence[Operation]:
    t.deliver(1)
    t.opened("a", X).dele("a", 1)
    t.tell("dropped", session="a")
    return t.last_look({})


def unmarked_and_removed(t: Teller) -> Sequence[Operation]:
    t.deliver(1)
    t.deliver(2)
    t.opened("a", X | Y).dele("a", 1)
    t.quit("a")
    return t.last_look({})


def unmarked_by_rset_and_removed(t: Teller) -> Sequence[Operation]:
    t.deliver(1)
    t.opened("a", X).dele("a", 1)
    t.tell("rset", session="a")
    t.quit("a")
    return t.last_look({})


def kept_in_words_alone(t: Teller) -> Sequence[Operation]:
    t.deliver(1)
    t.opened("a", X).dele("a", 1)
    t.quit("a", "fail", LOST)
    return t.last_look({})


def removed_and_listed(t: Teller) -> Sequence[Operation]:
    t.deliver(1)
    t.opened("a", X).dele("a", 1)
    t.quit("a")
    return t.last_look(X)


def half_removed(t: Teller) -> Sequence[Operation]:
    t.deliver(1)
    t.deliver(2)
    t.opened("a", X | Y).dele("a", 1, 2)
    t.quit("a", "unknown")
    return t.last_look(Y)


def gone_and_back(t: Teller) -> Sequence[Operation]:
    t.deliver(1)
    t.opened("a", X).dele("a", 1)
    t.quit("a", "unknown")
    t.opened("b", {}).quit("b")
    return t.last_look(X)


def nothing_there(t: Teller) -> Sequence[Operation]:
    t.deliver(1)
    t.opened("a", X).quit("a")
    t.tell("login", session="b", secret="1")
    t.tell("stat", session="b", count=0, octets=0)
    return t.last_look(X)


def left_out(t: Teller) -> Sequence[Operation]:
    t.deliver(1)
    t.deliver(2)
    t.opened("a", X | Y).quit("a")
    t.opened("b", X).quit("b")
    return t.last_look(X | Y)


def doubled(t: Teller) -> Sequence[Operation]:
    t.deliver(1)
    return t.last_look({"x": 1, "x2": 1})


def unjudgeable(t: Teller) -> Sequence[Operation]:
    t.deliver(1)
    t.tell("login", session="a", secret="1")
    t.dele("a", 1)
    t.quit("a")
    return t.last_look({})
