"""The octets that came, beside those that were sent and those that were listed: G8 and G9.

Owns the comparison of counts and digests. The server's own trace lines stand before the text, so that a text is
compared from its Message-ID line on. RFC 1939 §5 (STAT, LIST, RETR), §11 (octets).
"""

from collections.abc import Iterator

from tests.faults.checking.maildrop import Maildrop, Retrieved
from tests.faults.checking.session import Session
from tests.faults.checking.violation import Violation, shown_by
from tests.faults.operations import Operation


def violations(drop: Maildrop) -> Iterator[Violation]:
    """Octets that differ from others that they should equal."""
    yield from _differ_from_sent(drop)
    yield from _differ_from_before(drop)
    yield from _differ_by_top(drop)
    yield from _differ_from_listed(drop)
    for session in drop.sessions:
        yield from _sums(session)
        yield from _frozen(session)


def _differ_from_sent(drop: Maildrop) -> Iterator[Violation]:
    for one in drop.retrieved:
        attempts = drop.attempts.get(one.text, []) if one.text is not None else []
        if one.text is None:
            yield shown_by("G8", f"{one.unique_id} came without its identity", one.operation)
        elif not attempts:
            words = f"{one.unique_id} came as text {one.text}, which nobody delivered to this maildrop"
            yield shown_by("G8", words, one.operation)
        elif one.sent is not None and one.sent != attempts[0].facts.get("sha256", one.sent):
            words = f"{one.unique_id} came with other octets than text {one.text} was sent with"
            yield shown_by("G8", words, attempts[0], one.operation)


def _differ_from_before(drop: Maildrop) -> Iterator[Violation]:
    first: dict[str, Retrieved] = {}
    for one in drop.retrieved:
        before = first.setdefault(one.unique_id, one)
        # Other octets than were sent are told of already.
        if before.sha256 != one.sha256 and before.text == one.text and (one.sent is None or before.sent == one.sent):
            words = f"{one.unique_id} came with other octets than before"
            yield shown_by("G8", words, before.operation, one.operation)


def _differ_by_top(drop: Maildrop) -> Iterator[Violation]:
    first: dict[tuple[str, int], Operation] = {}
    for session in drop.sessions:
        for one in session.told("top"):
            unique_id = session.ids.get(one.facts["number"])
            if unique_id is not None and one.facts.get("whole", True):
                before = first.setdefault((unique_id, one.facts["lines"]), one)
                if before.facts["sha256"] != one.facts["sha256"]:
                    words = f"TOP of {unique_id} gave other octets than before"
                    yield shown_by("G8", words, before, one)


def _differ_from_listed(drop: Maildrop) -> Iterator[Violation]:
    """LIST's octets are RETR's, in every session and for ever."""
    first: dict[str, tuple[int, Operation]] = {}
    for came in drop.retrieved:
        first.setdefault(came.unique_id, (came.octets, came.operation))
    for session in drop.sessions:
        for number, octets, one in _told_octets(session):
            unique_id = session.ids.get(number)
            if unique_id is not None:
                before = first.setdefault(unique_id, (octets, one))
                if before[0] != octets:
                    words = f"{unique_id} has {octets} octets here and {before[0]} there"
                    yield shown_by("G9", words, before[1], one)


def _told_octets(session: Session) -> Iterator[tuple[int, int, Operation]]:
    for one in session.told("list", "retr"):
        if one.kind == "list":
            yield from ((number, octets, one) for number, octets in one.facts["octets"].items())
        elif one.facts.get("whole", True):
            yield one.facts["number"], one.facts["octets"], one


def _sums(session: Session) -> Iterator[Violation]:
    """Within one session: RETR's octets are LIST's, STAT's the sum of those not marked."""
    octets: dict[int, tuple[int, Operation]] = {}
    for number, count, one in _told_octets(session):
        before = octets.setdefault(number, (count, one))
        if before[0] != count:
            words = f"number {number} has {count} octets, and had {before[0]} in the same session"
            yield shown_by("G9", words, session.login, before[1], one)
    for one, marked in session.steps:
        if one.kind == "stat" and one.outcome == "ok":
            counted = [count for number, (count, _) in octets.items() if number not in marked]
            if len(counted) == one.facts["count"] and sum(counted) != one.facts["octets"]:
                words = f"STAT says {one.facts['octets']} octets, and those of its messages come to {sum(counted)}"
                yield shown_by("G9", words, session.login, *{each.n: each for _, each in octets.values()}.values(), one)


def _frozen(session: Session) -> Iterator[Violation]:
    """Every listing of a session has the same messages, but for those marked."""
    first: tuple[int, Operation] | None = None
    numbers: tuple[frozenset[int], Operation] | None = None
    for one, count in session.counts():
        first = first or (count, one)
        if count != first[0]:
            yield shown_by("G9", f"{count} messages, and {first[0]} before", session.login, first[1], one)
            return
    for one, marked in session.steps:
        if one.kind in {"list", "uidl"} and one.outcome == "ok" and "number" not in one.facts:
            listed = frozenset(one.facts["octets" if one.kind == "list" else "ids"])
            whole = listed | marked
            numbers = numbers or (whole, one)
            if whole != numbers[0] or listed & marked:
                yield shown_by("G9", "other numbers than before, or marked ones", session.login, numbers[1], one)
                return
