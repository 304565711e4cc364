"""Which text came under which unique-id, and how often: G7 and G18.

Owns that a unique-id stands for one text for ever, and a text for as many as were delivered. RFC 1939 §7.
"""

from collections.abc import Iterator

from tests.faults.checking.maildrop import Maildrop
from tests.faults.checking.violation import Violation, shown_by
from tests.faults.operations import Operation


def violations(drop: Maildrop) -> Iterator[Violation]:
    """unique-ids that change or repeat, and texts that came more often than they may."""
    yield from _reused(drop)
    yield from _too_many(drop)
    yield from _renumbered(drop)


def _reused(drop: Maildrop) -> Iterator[Violation]:
    first: dict[str, Operation] = {}
    told = set[str]()
    for one in drop.retrieved:
        before = first.setdefault(one.unique_id, one.operation)
        if one.text is not None and drop.texts[one.unique_id] != one.text and one.unique_id not in told:
            told.add(one.unique_id)
            words = f"{one.unique_id} stands for text {one.text}, and stood for text {drop.texts[one.unique_id]}"
            yield shown_by("G7", words, before, one.operation)


def _too_many(drop: Maildrop) -> Iterator[Violation]:
    for text, unique_ids in sorted(drop.copies.items()):
        attempts = [one for one in drop.attempts.get(text, ()) if not one.said.startswith("5")]
        if attempts and len(unique_ids) > len(attempts):
            together = [opening for opening in drop.openings if len(opening.listed & unique_ids) > 1]
            # An attempt makes one message; so many that never stand beside each other are one that changed its name.
            words = f"text {text} came as {', '.join(sorted(unique_ids))} of {len(attempts)} attempts"
            shows = [opening.login for opening in together] or [
                one.operation for one in drop.retrieved if one.unique_id in unique_ids
            ]
            yield shown_by("G18" if together else "G7", words, *attempts, *shows[:3])


def _renumbered(drop: Maildrop) -> Iterator[Violation]:
    """Within a session, a number keeps its unique-id, and no two have the same."""
    for session in drop.sessions:
        for one in session.told("uidl"):
            ids = one.facts["ids"]
            changed = [number for number, unique_id in ids.items() if session.ids[number] != unique_id]
            if changed:
                words = f"number {changed[0]} has another unique-id than before in the same session"
                yield shown_by("G7", words, session.login, next(session.told("uidl")), one)
            if len(set(ids.values())) < len(ids):
                yield shown_by("G7", "two numbers have the same unique-id", session.login, one)
