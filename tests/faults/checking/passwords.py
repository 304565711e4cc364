"""Which password opened a maildrop and which didn't: G11, and G14 where a right one was called wrong.

Owns what the history says of changed passwords and suspensions: what ended before a login began binds it. A session
that reads on while Postgres is away can't know of either. Passwords are known here by names alone.
"""

from collections.abc import Iterator

from tests.faults.checking.maildrop import Maildrop
from tests.faults.checking.violation import Violation, shown_by
from tests.faults.operations import Operation

WRONG = "wrong"


def violations(drop: Maildrop) -> Iterator[Violation]:
    """Logins that were let in or turned away against what staff had set."""
    for login in drop.logins:
        if login.outcome == "ok" and "read-only" not in login.said:
            yield from _let_in(drop, login)
        elif "[AUTH]" in login.said:
            yield from _turned_away(drop, login)


def _let_in(drop: Maildrop, login: Operation) -> Iterator[Violation]:
    secret = login.facts.get("secret")
    if secret is not None and secret not in _valid(drop, login):
        change = _last(drop, login, "password")
        yield shown_by("G11", f"password {secret!r} opened the maildrop, and isn't its password", change, login)
    if _suspended(drop, login) == "surely":
        yield shown_by("G11", "a suspended maildrop was opened", _last(drop, login, "suspend"), login)


def _turned_away(drop: Maildrop, login: Operation) -> Iterator[Violation]:
    valid = _valid(drop, login)
    right = valid == {login.facts.get("secret")} or (not valid and login.facts.get("secret") != WRONG)
    if right and _suspended(drop, login) == "no":
        yield shown_by("G14", "the right password was answered [AUTH]", _last(drop, login, "password"), login)


def _valid(drop: Maildrop, login: Operation) -> set[str]:
    """The passwords that may be the maildrop's as this login is judged; none where the history names none."""
    changes = [one for one in drop.staff if one.kind == "password"]
    return {one.facts["secret"] for one in _in_force(changes, login)} or (
        {login.facts["secret"]} if not changes and login.outcome == "ok" and login.facts["secret"] != WRONG else set()
    )


def _in_force(changes: list[Operation], login: Operation) -> list[Operation]:
    """Those that may be the last one before the login: begun before its end, with no other wholly between."""
    begun = [one for one in changes if one.began <= login.ended]
    done = [one for one in begun if one.outcome == "ok" and one.precedes(login)]
    return [one for one in begun if not any(one.precedes(other) for other in done)]


def _suspended(drop: Maildrop, login: Operation) -> str:
    changes = [one for one in drop.staff if one.kind in {"suspend", "resume"}]
    kinds = {one.kind for one in _in_force(changes, login)}
    surely = {one.kind for one in changes if one.outcome == "ok" and one.precedes(login)}
    if kinds == {"suspend"} and "suspend" in surely:
        return "surely"
    return "maybe" if "suspend" in kinds else "no"


def _last(drop: Maildrop, login: Operation, kind: str) -> Operation | None:
    return max(
        (one for one in drop.staff if one.kind == kind and one.began <= login.ended),
        key=lambda one: one.ended,
        default=None,
    )
