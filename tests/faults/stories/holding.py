"""Who held the maildrop, and who got in: G4, G5, G6, G11, and G14 of logins."""

from collections.abc import Sequence

from tests.faults.operations import Operation
from tests.faults.telling import AUTH, IN_USE, Teller

X, Y = {"x": 1}, {"y": 2}


def two_holders(t: Teller) -> Sequence[Operation]:
    t.deliver(1)
    t.opened("a", X)
    t.opened("b", X)
    t.tell("noop", session="a")
    return t.last_look(X)


def older_removes(t: Teller) -> Sequence[Operation]:
    t.deliver(1)
    t.tell("fault", what="Redis emptied", touches=["redis"])
    t.opened("a", X)
    t.opened("b", X)
    t.dele("a", 1)
    t.quit("a")
    return t.last_look({})


def older_removes_unheard(t: Teller) -> Sequence[Operation]:
    t.deliver(1)
    t.tell("fault", what="Redis emptied", touches=["redis"])
    t.opened("a", X).dele("a", 1)
    t.opened("b", X)
    t.quit("a", "unknown")
    return t.last_look({})


def both_remove(t: Teller) -> Sequence[Operation]:
    t.deliver(1)
    t.deliver(2)
    t.tell("fault", what="Redis emptied", touches=["redis"])
    t.tell("login", session="a", secret="1", began=200.0, ended=202.0)
    t.tell("login", session="b", secret="1", began=200.0, ended=202.0)
    t.listed("a", ["x", "y"], [110, 120])
    t.listed("b", ["x", "y"], [110, 120])
    t.dele("a", 1)
    t.dele("b", 2)
    t.quit("a")
    t.quit("b")
    return t.last_look({})


def lost_session_goes_on(t: Teller) -> Sequence[Operation]:
    t.deliver(1)
    t.opened("a", X)
    t.tell("fault", what="Redis emptied", touches=["redis"])
    t.tell("mended", what="Redis emptied")
    t.opened("b", X)
    t.now += 60
    t.tell("noop", session="a")
    return t.last_look(X)


def waits_for_nobody(t: Teller) -> Sequence[Operation]:
    t.opened("a", {}).quit("a")
    t.tell("login", "fail", IN_USE, "b", secret="1")
    return t.last_look({})


def waits_for_the_dead(t: Teller) -> Sequence[Operation]:
    t.opened("a", {})
    t.tell("fault", what="kill front 1", touches=["front 1"])
    t.tell("closed", session="a")
    t.tell("mended", what="kill front 1")
    t.now += 60
    t.tell("login", "fail", IN_USE, "b", secret="1")
    return t.last_look({})


def a_password_too_old(t: Teller) -> Sequence[Operation]:
    t.tell("password", secret="1")
    t.tell("password", secret="2")
    t.opened("a", {}, secret="1")
    return t.last_look({})


def suspended_and_open(t: Teller) -> Sequence[Operation]:
    t.tell("suspend")
    t.opened("a", {})
    return t.last_look({})


def the_right_password_is_wrong(t: Teller) -> Sequence[Operation]:
    t.tell("password", secret="1")
    t.tell("login", "fail", AUTH, "a", secret="1")
    return t.last_look({})


def login_refused_without_code(t: Teller) -> Sequence[Operation]:
    t.tell("login", "fail", "-ERR Sorry", "a", secret="1")
    return t.last_look({})
