"""How refusals are worded: G14.

A fault is [SYS/TEMP] or [SYS/PERM] to a mail program and 4xx to a sender; anything else makes the one ask for a new
password or forget what it knew, and the other give the mail back. RFC 2449 §8, RFC 3206 §4, RFC 2033 §4.2.
"""

from collections.abc import Iterator

from tests.faults.checking.maildrop import Maildrop
from tests.faults.checking.session import Session
from tests.faults.checking.violation import Violation, shown_by
from tests.faults.operations import Operation

FAULT = ("-ERR [SYS/TEMP]", "-ERR [SYS/PERM]")
LOGIN = (*FAULT, "-ERR [IN-USE]", "-ERR [LOGIN-DELAY]", "-ERR [AUTH]")
"""Whether [AUTH] was right is asked with the passwords."""


def violations(drop: Maildrop) -> Iterator[Violation]:
    """Refusals that aren't worded as what they are."""
    for one in drop.logins:
        if one.outcome == "fail" and not one.said.startswith(LOGIN):
            yield shown_by("G14", f"a login was refused with {one.said!r}", one)
    for one in drop.deliveries:
        if one.outcome == "fail" and not one.said.startswith("4"):
            yield shown_by("G14", f"a delivery was refused with {one.said!r}", one)
    for session in drop.sessions:
        yield from _within(session)


def _within(session: Session) -> Iterator[Violation]:
    for one, marked in session.steps:
        if one.outcome == "fail" and not one.said.startswith(FAULT) and not _is_its_own_fault(session, one, marked):
            yield shown_by("G14", f"{one.kind.upper()} was refused with {one.said!r}", session.login, one)


def _is_its_own_fault(session: Session, one: Operation, marked: frozenset[int]) -> bool:
    """Whether it names a message that is marked, or that the session was never told of."""
    number = one.facts.get("number")
    if number is None:
        return False
    scanned = (listing.facts["octets"] for listing in session.told("list"))
    return number in marked or not (number in session.ids or any(number in octets for octets in scanned))
