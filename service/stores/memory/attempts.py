"""Scores of failed logins in one process.

Owns the twin of `stores.redis`, which stands in for it while Redis is away: so it is bounded, and whoever failed
longest ago is forgotten first. Refuses to be shared.
"""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

from service.mail.attempts import Charge, Counted
from service.mail.ports import Clock
from service.model.attempts import Standing, Subject, faded, lasting

ENTRIES = 65_536
"""At some 400 octets each, 26 MB."""
MARKS = 16


@dataclass(slots=True)
class _Kept:
    score: float
    at: float
    marks: tuple[str, ...]
    until: float


class MemoryAttempts:
    """Implements `mail.attempts.Attempts`."""

    def __init__(self, clock: Clock, half_life: float = 900.0, entries: int = ENTRIES) -> None:
        self._clock = clock
        self._half_life = half_life
        self._entries = entries
        self._kept: OrderedDict[Subject, _Kept] = OrderedDict()
        self._known: OrderedDict[Subject, float] = OrderedDict()

    def __len__(self) -> int:
        """How many are kept."""
        return len(self._kept) + len(self._known)

    async def standings(self, subjects: Sequence[Subject], mark: str = "") -> Sequence[Standing]:
        """The standing of each, in order."""
        return [self._standing(subject, mark) for subject in subjects]

    async def count(self, charges: Sequence[Charge]) -> Sequence[Counted]:
        """Charge each, in order."""
        return [self._charge(charge) for charge in charges]

    async def opened(self, pair: Subject, seconds: float) -> None:
        """Know for so many seconds that the account was opened from there, and forget the pair's failures."""
        self._kept.pop(pair, None)
        self._known.pop(pair, None)
        self._known[pair] = self._clock.monotonic() + seconds
        if len(self._known) > self._entries:
            self._known.popitem(last=False)

    async def scored(self) -> Sequence[Standing]:
        """All subjects with a score."""
        found = [self._standing(subject, "") for subject in list(self._kept)]
        return sorted((each for each in found if each.score), key=lambda each: _order(each.subject))

    async def forget(self, subjects: Sequence[Subject]) -> int:
        """Forget the failures of these; how many had any."""
        return sum(self._kept.pop(subject, None) is not None for subject in subjects)

    def _standing(self, subject: Subject, mark: str) -> Standing:
        kept, now = self._current(subject), self._clock.monotonic()
        known = max(0.0, self._known.get(subject, now) - now)
        if kept is None:
            return Standing(subject, 0.0, known=known)
        score = round(faded(kept.score, now - kept.at, self._half_life), 3)
        return Standing(subject, score, bool(mark) and mark in kept.marks, known)

    def _charge(self, charge: Charge) -> Counted:
        before = self._standing(charge.subject, "").score
        after = max(before, min(before + charge.weight, charge.most))
        now, kept = self._clock.monotonic(), self._kept.pop(charge.subject, None)
        marks = kept.marks if kept else ()
        if charge.mark and charge.mark not in marks:
            marks = (charge.mark, *marks)[:MARKS]
        until = max(now + charge.keep, now + self._half_life * lasting(after), kept.until if kept else now)
        self._kept[charge.subject] = _Kept(after, now, marks, until)
        if len(self._kept) > self._entries:
            self._kept.popitem(last=False)
        return Counted(charge.subject, before, after)

    def _current(self, subject: Subject) -> _Kept | None:
        kept = self._kept.get(subject)
        if kept is not None and kept.until <= self._clock.monotonic():
            del self._kept[subject]
            return None
        return kept


def _order(subject: Subject) -> tuple[str, str]:
    return subject.kind.value, subject.name
