"""What wrong passwords amount to: who is counted, how a count fades, and what follows from it.

Owns the kinds of subjects, the arithmetic of scores and the verdict. A failure adds to the score of each subject it
concerns, and a score halves with every half-life. Refuses to know where scores are kept, and who asks.
"""

import hashlib
import hmac
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

NEW = 1.0
"""What a wrong password adds to a score."""
LIGHT = 0.02
"""What one adds that was counted already, or that comes while its subject is refused and isn't even looked at."""
FIRST_DELAY = 0.5
"""Seconds; it doubles with each further quarter of `delay_from`."""
CLOSING = 2
"""An address that has so many times its `refuse_from` has its connections closed as well."""
CAP = 8
"""No score exceeds so many times its largest limit: three half-lives after an attack ends, nobody is refused."""
MARK_DIGITS = 3


class Kind(Enum):
    """Whom a failure is counted against."""

    ADDRESS = "address"
    """One IPv4 address, or one IPv6 /64, which is what a customer has."""
    NETWORK = "network"
    """An IPv6 /48, in which one attacker may have 65,536 of the former."""
    PAIR = "pair"
    """One account from one address."""
    ACCOUNT = "account"
    """One name, from anywhere, whether anybody has it or not (G13)."""
    TENANT = "tenant"

    # Each is there once. Enum's own hashes the name, by two calls for each of a login's suspects.
    __hash__ = object.__hash__


PLACES = frozenset({Kind.ADDRESS, Kind.NETWORK})


class Subject(NamedTuple):
    """What is counted; `name` is a network, an account's name, both with a space between, or a tenant's name."""

    kind: Kind
    name: str


class Standing(NamedTuple):
    """A subject's score now; `repeated` tells that the mark asked for was counted already."""

    subject: Subject
    score: float
    repeated: bool = False
    known: float = 0.0
    """Of a pair: seconds for which it will still be known that the account was opened from there; 0 if it isn't."""


@dataclass(frozen=True, slots=True)
class Limit:
    """From which score logins are delayed and refused; 0 for never."""

    delay_from: int = 0
    refuse_from: int = 0

    @property
    def counts(self) -> bool:
        """Whether anything follows from a score at all."""
        return bool(self.delay_from or self.refuse_from)

    @property
    def most(self) -> float:
        """The highest score there is."""
        return float(CAP * max(self.delay_from, self.refuse_from, 1))

    def delay(self, score: float, longest: float) -> float:
        """Seconds to wait before a password is looked at."""
        if not reaches(score, self.delay_from):
            return 0.0
        doublings = max(0.0, score - self.delay_from) / (self.delay_from / 4)
        return min(longest, FIRST_DELAY * math.pow(2.0, min(doublings, 32.0)))

    def refuses(self, score: float) -> bool:
        """Whether no password is looked at any more."""
        return reaches(score, self.refuse_from)

    def closes(self, score: float) -> bool:
        """Whether the connection is to end as well."""
        return reaches(score, CLOSING * self.refuse_from)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of a login: `by` is whom it is held back for, and nobody where it isn't."""

    delay: float = 0.0
    by: Standing | None = None
    refused: bool = False
    closes: bool = False


OFF = Limit()
PASSED = Verdict()


def reaches(score: float, limit: int) -> bool:
    """Whether `score`, which has faded a little since its last failure, comes to a limit that isn't 0."""
    return bool(limit) and score + 0.5 >= limit


def faded(score: float, seconds: float, half_life: float) -> float:
    """What is left of `score` after so many seconds."""
    return score * math.pow(2.0, -max(0.0, seconds) / half_life)


def lasting(score: float) -> float:
    """After how many half-lives less than half a failure is left of `score`; at least one."""
    return max(1.0, math.log2(2 * score)) if score else 1.0


def judge(standings: Sequence[Standing], limits: Mapping[Kind, Limit], longest: float) -> Verdict:
    """The hardest of what follows from each standing. Addresses alone have their connections closed."""
    verdicts = [_judged(each, limits.get(each.subject.kind, OFF), longest) for each in standings if each.score]
    return max(verdicts, key=lambda verdict: (verdict.closes, verdict.refused, verdict.delay), default=PASSED)


def _judged(standing: Standing, limit: Limit, longest: float) -> Verdict:
    delay, refused = limit.delay(standing.score, longest), limit.refuses(standing.score)
    closes = standing.subject.kind in PLACES and limit.closes(standing.score)
    return Verdict(delay, standing, refused, closes) if delay or refused else PASSED


def mark_of(account: str, secret: str) -> str:
    """Twelve bits by which the same wrong password of one account is known again, and no password is.

    One in 4,096 passwords has the same mark, so whoever reads it can't tell which one was tried, however many he tries
    himself. It is salted by the account's name, so that equal passwords of two accounts don't show.
    """
    digest = hmac.digest(account.encode(), secret.encode("utf-8", "surrogatepass"), hashlib.sha256)
    return digest.hex()[:MARK_DIGITS]
