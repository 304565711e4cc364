"""The port of what keeps scores of failed logins, and its stand-in for when the shared scores are out of reach.

Owns the shapes. Refuses to judge: `model.attempts` does, and `mail.guard` decides what is counted. No method is ever
told a password, only its mark of twelve bits.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from service.model.attempts import Kind, Standing, Subject
from service.model.refusal import Refusal


@dataclass(frozen=True, slots=True)
class Charge:
    """What a failure adds to a subject; its score doesn't exceed `most`."""

    subject: Subject
    weight: float
    most: float
    mark: str = ""
    """What to know the password by when it comes again; empty for none."""
    keep: float = 0.0
    """Seconds for which the mark is kept at least; else as long as the score."""


@dataclass(frozen=True, slots=True)
class Counted:
    """A subject's score before and after a charge."""

    subject: Subject
    before: float
    after: float


@dataclass(frozen=True, slots=True)
class Record:
    """What is known of a login's suspects."""

    standings: Sequence[Standing] = ()

    @property
    def pair(self) -> Standing | None:
        """The account's standing from this address."""
        for each in self.standings:
            if each.subject.kind is Kind.PAIR:
                return each
        return None

    @property
    def repeated(self) -> bool:
        """Whether this wrong password was counted already."""
        return any(each.repeated for each in self.standings)

    @property
    def judged(self) -> Sequence[Standing]:
        """Whose standing counts: from where the account was opened lately, that of the pair alone.

        Else whoever knows a name could lock its owner out, and one neighbour all who share an address.
        """
        pair = self.pair
        return [pair] if pair is not None and pair.known else self.standings


NO_RECORD = Record()


class Attempts(Protocol):
    """Scores of failed logins, which fade; whatever isn't counted again is forgotten. Each may raise UNAVAILABLE."""

    async def standings(self, subjects: Sequence[Subject], mark: str = "") -> Sequence[Standing]:
        """The standing of each, in order; all in one pipeline."""

    async def count(self, charges: Sequence[Charge]) -> Sequence[Counted]:
        """Charge each, in order; all in one pipeline."""

    async def opened(self, pair: Subject, seconds: float) -> None:
        """Know for so many seconds that the account was opened from there, and forget the pair's failures."""

    async def scored(self) -> Sequence[Standing]:
        """All subjects with a score, for staff."""

    async def forget(self, subjects: Sequence[Subject]) -> int:
        """Forget the failures of these; how many had any."""


def _untold(shared: bool) -> None:
    """Whom nobody tells which scores were used."""


class Standby:
    """Implements `Attempts` over `shared` scores, and over the process's `own` while those are out of reach.

    Logins go on then (design, §4). `told` hears of each call whether it was answered by the shared ones.
    """

    def __init__(self, shared: Attempts, own: Attempts, told: Callable[[bool], None] = _untold) -> None:
        self._shared = shared
        self._own = own
        self._told = told

    async def standings(self, subjects: Sequence[Subject], mark: str = "") -> Sequence[Standing]:
        """As the port says, and never refused."""
        try:
            standings = await self._shared.standings(subjects, mark)
        except Refusal:
            self._told(False)
            return await self._own.standings(subjects, mark)
        self._told(True)
        return standings

    async def count(self, charges: Sequence[Charge]) -> Sequence[Counted]:
        """As the port says, and never refused."""
        try:
            return await self._shared.count(charges)
        except Refusal:
            return await self._own.count(charges)

    async def opened(self, pair: Subject, seconds: float) -> None:
        """As the port says, and never refused."""
        try:
            await self._shared.opened(pair, seconds)
        except Refusal:
            await self._own.opened(pair, seconds)

    async def scored(self) -> Sequence[Standing]:
        """The shared ones: staff are told when those are out of reach."""
        return await self._shared.scored()

    async def forget(self, subjects: Sequence[Subject]) -> int:
        """In both. Raises Refusal(UNAVAILABLE)."""
        await self._own.forget(subjects)
        return await self._shared.forget(subjects)
