"""Who held the maildrop, and until when: G4, G5 and G6.

Owns the difference between holding and removing. Two that remove, or an older session that removes after a newer one
opened the maildrop, break G4 whatever goes wrong; two that merely read at a time break it only while Redis and the
front ends are themselves, as the lease may be forgotten but the fence can't.
"""

from collections.abc import Iterator

from tests.faults.checking.faults import Faults
from tests.faults.checking.maildrop import Maildrop
from tests.faults.checking.session import Session
from tests.faults.checking.violation import Violation, shown_by
from tests.faults.operations import Operation

LEASES = ("redis", "front")
"""What a lease depends on."""
LOST = "no longer holds the maildrop"
"""What a session is told that lost it."""


def violations(drop: Maildrop, faults: Faults) -> Iterator[Violation]:
    """Removals by sessions that held it no more, holders beside each other, and waits for nobody."""
    yield from _older_removed(drop)
    yield from _two_removed(drop)
    yield from _two_hold(drop, faults)
    yield from _lost_for_no_reason(drop, faults)
    yield from _waited_for_nobody(drop, faults)


def _older_removed(drop: Maildrop) -> Iterator[Violation]:
    for session in drop.sessions:
        follower = drop.followed(session) if session.removal == "all" else None
        if follower is not None:
            words = "a QUIT removed messages after a newer session had opened the maildrop"
            yield shown_by("G4", words, session.login, follower, session.quit)


def _two_removed(drop: Maildrop) -> Iterator[Violation]:
    """Each must have been over before the other began, in one order or the other."""
    removing = [one for one in drop.sessions if one.removal == "all"]
    for place, one in enumerate(removing):
        for other in removing[place + 1 :]:
            if not (_may_come_first(one, other) or _may_come_first(other, one)):
                words = "two sessions at once each removed messages"
                yield shown_by("G4", words, one.login, one.quit, other.login, other.quit)
            elif one.marked & other.marked:
                words = f"{min(one.marked & other.marked)} was removed by two sessions"
                yield shown_by("G4", words, one.login, one.quit, other.login, other.quit)


def _may_come_first(one: Session, other: Session) -> bool:
    return one.quit is not None and one.quit.began <= other.login.ended


def _two_hold(drop: Maildrop, faults: Faults) -> Iterator[Violation]:
    """The older session was answered +OK after the newer login was."""
    for session in drop.sessions:
        for other in drop.sessions:
            if other is session or other.read_only or not session.login.precedes(other.login):
                continue
            later = [one for one in session.operations if one.outcome == "ok" and other.login.precedes(one)]
            if later:
                yield from _held_beside(drop, faults, (session, other, later))
                break


def _held_beside(drop: Maildrop, faults: Faults, case: tuple[Session, Session, list[Operation]]) -> Iterator[Violation]:
    session, other, later = case
    since, until = session.login.began, other.login.ended
    said = [one for one in later if one.kind not in {"dropped", "closed"}]
    if said and not _kicked(drop, since, until) and not faults.touching(LEASES, since, until):
        words = "two sessions hold the maildrop, though nothing touched Redis or a front end"
        yield shown_by("G4", words, session.login, other.login, said[0])
    for one in said:
        last = one.began - faults.bounds.notice
        if last > until and not faults.touching((*LEASES, "postgres"), last, one.ended):
            words = f"a session goes on more than {faults.bounds.notice:g} s after another took its maildrop"
            yield shown_by("G5", words, session.login, other.login, one)
            break


def _lost_for_no_reason(drop: Maildrop, faults: Faults) -> Iterator[Violation]:
    """A session was told that a newer one holds its maildrop, which no lease should have let in."""
    for session in drop.sessions:
        for one in session.operations:
            # A Postgres that failed over has lost its fences: then no session of before is the newest any more.
            quiet = not faults.touching((*LEASES, "postgres"), session.login.began, one.ended)
            if LOST in one.said and quiet and not _kicked(drop, session.login.began, one.ended):
                words = "a session lost its maildrop to a newer one, though nothing was touched that decides it"
                yield shown_by("G4", words, session.login, one)


def _kicked(drop: Maildrop, since: float, until: float) -> bool:
    return any(one.kind == "kick" and one.began <= until and one.ended >= since for one in drop.staff)


def _waited_for_nobody(drop: Maildrop, faults: Faults) -> Iterator[Violation]:
    """Refusals in a row, without a login that succeeds between them, are told as one."""
    row: list[Operation] = []
    for login in [*drop.logins, None]:
        if login is not None and "[IN-USE]" in login.said and not _explained(drop, login, faults):
            row.append(login)
        elif row and (login is None or login.outcome == "ok"):
            words = f"{len(row)} logins in a row were told to wait for a session that is over"
            yield shown_by("G6", words, row[0], row[-1])
            row = []


def _explained(drop: Maildrop, refused: Operation, faults: Faults) -> bool:
    """Whether some session may still have held it, or a login that came to nothing just then."""
    since, free = refused.began - faults.bounds.free, faults.bounds.free
    # Whom staff suspend is kept out for a while, and everybody else too, until the process that served him knows. A
    # kick keeps nobody out for longer than the session that it ends.
    if any(one.kind == "suspend" and one.began <= refused.ended and one.ended >= since for one in drop.staff):
        return True
    if faults.touching((*LEASES, "clients"), since, refused.ended):
        return True
    ended = {one.login.n: one.end or one.broken for one in drop.sessions}
    return any(
        login is not refused and login.began <= refused.ended and _held_until(login, ended, free) >= refused.began
        for login in drop.logins
    )


def _held_until(login: Operation, ends: dict[int, Operation | None], free: float) -> float:
    """RFC 1939 §6: after QUIT the lock is released before the response; any other end is noticed within `free` s."""
    if login.outcome != "ok":
        return login.ended + (free if login.outcome == "unknown" else 0.0)
    end = ends.get(login.n)
    if end is None:
        return float("inf")
    return end.ended if end.kind == "quit" and end.outcome != "unknown" else end.ended + free
