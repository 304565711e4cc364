"""Scores of failed logins in Redis, shared by all front ends.

Owns keys and times: one key for each subject, so that a cluster serves it, and the server's own clock, so that a front
end whose clock is wrong judges nobody for that. Every key expires. Refuses to judge a score. No password is ever here,
nor anything that tells one: a mark is twelve bits.
"""

import asyncio
from collections.abc import Iterator, Sequence

from service.mail.attempts import Charge, Counted
from service.model.attempts import Kind, Standing, Subject
from service.stores.observing import Calls, Observer, Unobserved
from service.stores.redis.errors import kind_of
from service.stores.redis.scripts import COUNT, STANDING, Command
from service.stores.redis.servers import Servers

PREFIX, KNOWN = "abuse", "opened"
GONE = -2
"""What PTTL says of a key that isn't there."""
PAIRS = f"{PREFIX}:{Kind.PAIR.value}"
STAFF_SECONDS = 30.0
PAGE = 1000
HALF_LIFE = 900.0
KINDS = {kind.value: kind for kind in Kind}


class RedisAttempts:
    """Implements `mail.attempts.Attempts` on `servers`, whose pipelines and deadline it shares with the leases."""

    def __init__(self, servers: Servers, *, half_life: float = HALF_LIFE, observer: Observer | None = None) -> None:
        self._servers = servers
        self._half_life = round(half_life * 1000)
        self._calls = Calls("redis", observer or Unobserved(), kind_of)

    async def standings(self, subjects: Sequence[Subject], mark: str = "") -> Sequence[Standing]:
        """The standing of each, in order."""
        pairs = [subject for subject in subjects if subject.kind is Kind.PAIR]
        asked = [self._asking(subject, mark) for subject in subjects]
        with self._calls.observed("standings"):
            answers = await self._servers.together([*asked, *(("PTTL", _known_key(pair)) for pair in pairs)])
        known = dict(zip(pairs, answers[len(subjects) :], strict=True))
        return [
            Standing(subject, *_standing(answer), _seconds(known.get(subject)))
            for subject, answer in zip(subjects, answers[: len(subjects)], strict=True)
        ]

    async def count(self, charges: Sequence[Charge]) -> Sequence[Counted]:
        """Charge each, in order."""
        with self._calls.observed("count"):
            answers = await self._servers.together([self._charging(charge) for charge in charges])
        return [Counted(charge.subject, *_scores(answer)) for charge, answer in zip(charges, answers, strict=True)]

    async def opened(self, pair: Subject, seconds: float) -> None:
        """Know for so many seconds that the account was opened from there, and forget the pair's failures."""
        remembering = ("SET", _known_key(pair), "1", "PX", round(seconds * 1000))
        with self._calls.observed("opened"):
            await self._servers.together([("DEL", _key(pair)), remembering])

    async def scored(self) -> Sequence[Standing]:
        """All subjects with a score. Walks all keys: for staff, not for sessions."""
        with self._calls.observed("scored"):
            async with asyncio.timeout(STAFF_SECONDS):
                keys = sorted({key.decode() async for key in self._servers.scan(f"{PREFIX}:*")})
                subjects = [subject for subject in map(_subject, keys) if subject is not None]
                found = [each for page in _pages(subjects) for each in await self.standings(page)]
        return [standing for standing in found if standing.score]

    async def forget(self, subjects: Sequence[Subject]) -> int:
        """Forget the failures of these; how many had any."""
        with self._calls.observed("forget"):
            answers = await self._servers.together([("DEL", _key(subject)) for subject in subjects])
        return sum(answer for answer in answers if isinstance(answer, int))

    def asking_pair(self, pair: Subject) -> tuple[Command, Command]:
        """The commands that tell whether a pair has no failures; `blameless` reads the answers."""
        name = pair.name
        return ("PTTL", f"{PAIRS}:{name}"), ("PTTL", f"{KNOWN}:{name}")

    def _asking(self, subject: Subject, mark: str) -> Command:
        return STANDING.on((_key(subject),), self._half_life, mark if subject.kind is Kind.ACCOUNT else "")

    def _charging(self, charge: Charge) -> Command:
        thousandths = (round(charge.weight * 1000), round(charge.most * 1000))
        return COUNT.on((_key(charge.subject),), self._half_life, *thousandths, charge.mark, round(charge.keep * 1000))


def blameless(failures: object, known: object) -> float | None:
    """For how many seconds a pair without failures is still known, by what the server says of both; None with some."""
    return _seconds(known) if failures == GONE else None


def _key(subject: Subject) -> str:
    return f"{PREFIX}:{subject.kind.value}:{subject.name}"


def _known_key(pair: Subject) -> str:
    return f"{KNOWN}:{pair.name}"


def _subject(key: str) -> Subject | None:
    _, kind, name = key.split(":", 2)
    return Subject(KINDS[kind], name) if kind in KINDS else None


def _standing(answer: object) -> tuple[float, bool]:
    score, marked = answer if isinstance(answer, list) else (0, 0)
    return score / 1000, marked == 1


def _seconds(left: object) -> float:
    return left / 1000 if isinstance(left, int) and left > 0 else 0.0


def _scores(answer: object) -> tuple[float, float]:
    before, after = answer if isinstance(answer, list) else (0, 0)
    return before / 1000, after / 1000


def _pages(subjects: Sequence[Subject]) -> Iterator[Sequence[Subject]]:
    return (subjects[begin : begin + PAGE] for begin in range(0, len(subjects), PAGE))
