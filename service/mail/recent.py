"""What logins and refusals each account had lately, from all front ends, for staff who are asked why one fails.

Owns what makes two of them the same, so that a client that polls is one entry with a count and drives no other out.
Refuses to keep the name of nobody: of a well-formed address that is no account only a digest is kept. Bounded for each
account, and for all unknown names together; it is a help and no record: the event stream is that (G15, G17).
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import attrgetter
from typing import Protocol

from service.mail.ports import Holder
from service.model.account import MaildropKey
from service.model.event import Event, Kind

REGISTERED = frozenset({Kind.LOGIN, Kind.REFUSAL})
FIRST_LETTERS = {kind: kind.value[0] for kind in Kind}
BUCKETS = 1024
"""Unknown names share so many keys, so that inventing names fills no memory."""
IN_BUCKET = 32
"""Entries of all unknown names in one bucket."""
_DIGITS = 16
_same = attrgetter("client", "mechanism", "credential", "reason", "listener", "tls")


@dataclass(frozen=True, slots=True)
class Attempt:
    """One kind of login or refusal, and how often it came."""

    kind: Kind
    first: datetime
    last: datetime
    count: int
    client: str
    mechanism: str
    listener: str
    tls: str
    credential: str
    reason: str
    detail: str
    session: str
    """Of the last one."""


@dataclass(frozen=True, slots=True)
class UnknownName:
    """A well-formed address that no account has."""

    address: str

    @property
    def digest(self) -> str:
        """What it is kept by: 64 bits, which neither show nor mix up names."""
        return hashlib.sha256(self.address.encode()).hexdigest()[:_DIGITS]

    @property
    def bucket(self) -> int:
        """Which of the shared keys it has."""
        return int(self.digest, 16) % BUCKETS


Whose = MaildropKey | UnknownName


class RecentLogins(Protocol):
    """The register. Each method may raise Refusal(UNAVAILABLE)."""

    async def take(self, batch: Sequence[Event]) -> None:
        """Keep the logins and refusals among `batch`; one that comes twice in a row is counted once."""

    async def of(self, whose: Whose) -> Sequence[Attempt]:
        """What is kept, the last one first."""

    async def holder(self, key: MaildropKey) -> Holder | None:
        """Who holds the maildrop now."""


def whose(event: Event) -> Whose | None:
    """Whose register `event` belongs in, if in any."""
    if event.kind not in REGISTERED:
        return None
    if event.key is not None:
        return event.key
    return UnknownName(event.name) if event.name else None


def identity_of(event: Event) -> str:
    """What is the same when `event` is handed on again, and of no other of its sort; letters and digits."""
    # Where no sink keeps ids it has none. A session tells few of one sort, at some distance from each other.
    return event.event_id or f"{event.session}{event.moment.microsecond}"


def sort_of(event: Event) -> str:
    """What is the same for events that are counted together; its first letter is the kind's."""
    # The detail isn't among it: it may hold a number that is another one each time.
    digest = hashlib.sha256("\0".join(_same(event)).encode("utf-8", "replace")).hexdigest()[:_DIGITS]
    return FIRST_LETTERS[event.kind] + digest
