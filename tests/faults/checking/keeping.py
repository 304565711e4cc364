"""What must be listed and what must be gone: G1, G2, G3, G9's frozen listing and G14's short ones.

Owns the life of each message: from when it was surely stored, until when it was surely there, from when surely gone.
Refuses to know octets and answers.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import inf

from tests.faults.checking.maildrop import Maildrop, Opening
from tests.faults.checking.session import Session
from tests.faults.checking.violation import Violation, shown_by
from tests.faults.operations import Operation


@dataclass(frozen=True, slots=True)
class Life:
    """Of one message; instants in seconds."""

    stored: Operation
    """What shows that it was stored by the time this ended."""
    listed: Operation | None
    """The first opening that showed it."""
    may_go: float
    """Until then it is surely there."""
    gone: float
    """From then on it surely isn't."""


def violations(drop: Maildrop) -> Iterator[Violation]:
    """What was lost, came back, or was left out of a listing."""
    lives = _lives(drop)
    yield from _lost(drop, lives)
    yield from _back(drop, lives)
    yield from _short_counts(drop, lives)
    yield from _unseen(drop)
    yield from _unreadable(drop)
    yield from _not_frozen(drop)
    yield from _unseen_end(drop)
    yield from _unknown_marks(drop)


def _lives(drop: Maildrop) -> Mapping[str, Life]:
    listed: dict[str, Operation] = {}
    for opening in drop.openings:
        for unique_id in opening.listed:
            listed.setdefault(unique_id, opening.login)
    stored = dict(listed)
    for unique_id, text in drop.texts.items():
        # With two copies nobody knows which of them the reply was for. There may be two where an attempt failed, too:
        # what it wrote may come late, and the other copy may be removed by somebody who never read it.
        attempts = drop.attempts.get(text, ())
        accepted = [one for one in attempts if one.outcome == "ok"]
        if accepted and len(accepted) == len(attempts) and len(drop.copies[text]) == 1:
            both = [stored[unique_id], *accepted] if unique_id in stored else accepted
            stored[unique_id] = min(both, key=lambda one: one.ended)
    return {unique_id: _life(drop, unique_id, one, listed.get(unique_id)) for unique_id, one in stored.items()}


def _life(drop: Maildrop, unique_id: str, stored: Operation, listed: Operation | None) -> Life:
    removers = drop.removers.get(unique_id, ())
    may_go = min((one.quit.began for one in removers if one.quit), default=inf)
    gone = min((one.quit.ended for one in removers if one.quit and one.removal == "all"), default=inf)
    return Life(stored, listed, may_go, gone)


def _must_list(login: Operation, lives: Mapping[str, Life], *, only_seen: bool) -> set[str]:
    """What was surely there as this login opened the maildrop; `only_seen`: of what somebody was shown before."""
    return {
        unique_id
        for unique_id, life in lives.items()
        if (life.listed if only_seen else life.stored) is not None
        and (life.listed if only_seen and life.listed else life.stored).ended < login.began
        and life.may_go > login.ended
    }


def _lost(drop: Maildrop, lives: Mapping[str, Life]) -> Iterator[Violation]:
    told = set[str]()
    for opening in drop.openings:
        missing = _must_list(opening.login, lives, only_seen=opening.read_only) - opening.listed - told
        told |= missing
        for unique_id in sorted(missing):
            yield _missing(drop, opening, unique_id, lives[unique_id])


def _missing(drop: Maildrop, opening: Opening, unique_id: str, life: Life) -> Violation:
    """Why a message should be there says which guarantee is broken."""
    later = (one for one in drop.openings if unique_id in one.listed and opening.login.precedes(one.login))
    back = next(later, None)
    if back is not None:
        words = f"{unique_id} is left out of a listing, and is listed again later"
        return shown_by("G14", words, life.stored, opening.login, opening.shown, back.login)
    sessions = (one for one in drop.sessions if one.login.began < opening.login.ended)
    markers = [one for one in sessions if unique_id in one.marked and one is not opening.session]
    proof = (life.stored, opening.login, opening.shown)
    if not markers:
        return shown_by("G1", f"{unique_id} is gone, and nobody marked it", *proof)
    return _marked_and_missing(drop, opening, unique_id, markers[-1], proof)


def _marked_and_missing(
    drop: Maildrop, opening: Opening, unique_id: str, marker: Session, proof: tuple[Operation, ...]
) -> Violation:
    how = (marker.login, marker.marks(unique_id), marker.end)
    if marker.quit is None:
        return shown_by("G2", f"{unique_id} is gone, and the session that marked it said no QUIT", *proof, *how)
    if marker.removal == "none":
        return shown_by("G3", f"{unique_id} is gone, though QUIT was told that none is", *proof, *how)
    if marker.marked & opening.listed:
        words = f"{unique_id} is gone, and others that were marked with it are still listed"
        return shown_by("G3", words, *proof, *how)
    follower = drop.followed(marker)
    if follower is not None and marker.removal == "either":
        words = f"{unique_id} is gone, though the session that marked it was followed by another before it removed it"
        return shown_by("G4", words, *proof, *how, follower)
    return shown_by("G1", f"{unique_id} was gone before the QUIT that removes it was said", *proof, *how)


def _back(drop: Maildrop, lives: Mapping[str, Life]) -> Iterator[Violation]:
    """What was removed with +OK, or found gone after a QUIT without an answer, and is listed again."""
    missed: dict[str, Opening] = {}
    told = set[str]()
    for opening in drop.openings:
        for unique_id in sorted(opening.listed - told):
            life = lives[unique_id]
            if life.gone < opening.login.began:
                told.add(unique_id)
                yield _removed_and_listed(drop, opening, unique_id)
            elif unique_id in missed and missed[unique_id].login.precedes(opening.login):
                told.add(unique_id)
                before = missed[unique_id]
                words = f"{unique_id} was found gone, and is listed again"
                yield shown_by("G3", words, life.stored, before.login, before.shown, opening.login, opening.shown)
        for unique_id, life in lives.items():
            absent = unique_id not in opening.listed and life.stored.precedes(opening.login)
            if absent and life.may_go <= opening.login.ended and not opening.read_only:
                missed.setdefault(unique_id, opening)


def _removed_and_listed(drop: Maildrop, opening: Opening, unique_id: str) -> Violation:
    remover = next(one for one in drop.removers[unique_id] if one.removal == "all")
    words = f"{unique_id} was removed by a QUIT that was answered +OK, and is listed"
    return shown_by("G3", words, remover.marks(unique_id), remover.quit, opening.login, opening.shown)


def _short_counts(drop: Maildrop, lives: Mapping[str, Life]) -> Iterator[Violation]:
    """A count below what was surely there, by the first answer of each session that says one."""
    for session in drop.sessions:
        must = len(_must_list(session.login, lives, only_seen=session.read_only))
        for one, count in session.counts():
            if count < must:
                words = f"{one.kind.upper()} says {count} messages, and at least {must} were there"
                yield shown_by("G14", words, session.login, one)
                break


def _unseen(drop: Maildrop) -> Iterator[Violation]:
    """Texts that were answered 250 and never came, beyond those that may have been removed unread."""
    if not any(one.outcome == "ok" for one in drop.finals):
        return
    accepted = {one.facts["text"]: one for one in drop.deliveries if one.outcome == "ok"}
    unseen = [accepted[text] for text in sorted(set(accepted) - set(drop.copies))]
    unread = {each for opening in drop.openings for each in opening.listed if each not in drop.texts}
    for one in unseen[len(unread) :]:
        yield shown_by("G1", f"text {one.facts['text']} was answered 250 and never came", one, drop.finals[-1])


def _unreadable(drop: Maildrop) -> Iterator[Violation]:
    """Messages that the last look found listed, and that didn't come."""
    for one in drop.finals:
        missing = set(one.facts.get("ids", ())) - set(one.facts.get("sha256", ()))
        for unique_id in sorted(missing if one.outcome == "ok" else ()):
            yield shown_by("G1", f"{unique_id} is listed and can't be retrieved, with nothing at fault any more", one)


def _not_frozen(drop: Maildrop) -> Iterator[Violation]:
    """A message in a session's numbers that was delivered only after its login."""
    for session in drop.sessions:
        for unique_id in session.ids.values():
            attempts = drop.attempts.get(drop.texts.get(unique_id, -1), ())
            if attempts and all(session.login.precedes(one) for one in attempts):
                words = f"{unique_id} has a number in a session that was opened before it was delivered"
                yield shown_by("G9", words, session.login, next(session.told("uidl")), attempts[0])
                break


def _unseen_end(drop: Maildrop) -> Iterator[Violation]:
    """A last look that was tried and never succeeded: nobody knows what is there in the end."""
    if drop.finals and all(one.outcome != "ok" for one in drop.finals):
        yield shown_by("history", "nobody could look at the maildrop in the end", *drop.finals)


def _unknown_marks(drop: Maildrop) -> Iterator[Violation]:
    """Marks that nobody can judge: the client never asked what it marked."""
    for session in drop.sessions:
        if session.quit is not None and session.marked_numbers - set(session.ids):
            words = "marked a number whose unique-id it never asked for"
            yield shown_by("history", words, session.login, session.quit)
