"""What the sessions of a front end share, by the settings: turns at each resource, and who is told of them.

Owns how many turns each resource has. Refuses to know how they are shared out. Which tenant is heavy stands in the log,
at most once a minute, and never in a metric (G17).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from service.app.ahead import AheadBlobs
from service.app.cores import hashing_threads
from service.app.waiting import Waiting
from service.mail.begun import BegunBlobs, SpareBegun
from service.mail.fair import FairBlobs, SpareBlobs
from service.mail.fairness import Fairness
from service.mail.long_texts import LongTexts
from service.mail.pace import Pace
from service.mail.patience import Flow
from service.mail.ports import BlobStore, DomainOwners
from service.mail.turns import Bounds, Turns
from service.mail.whose import Owners
from service.settings import Settings
from service.telemetry import sharing, spans
from service.telemetry.logs import get_log

TELL_EVERY = 60.0
WORTH_TELLING = 100
"""Callers that had to wait since the last line, or were turned away: fewer are no news."""
WORTH_TELLING_OF_LOOP = 6000
"""The same of steps, which wait for parts of a millisecond."""
LOOKUPS = 2
"""Domains whose tenant is asked for at a time, beside the other calls of Postgres."""
SAVINGS = 0.05
"""Seconds of the loop's time that a tenant which needs less than its share may have at once: some fifteen polls."""
AHEAD = 1
"""Computations that wait on the threads' own side, so that no thread waits for the event loop."""


@dataclass(frozen=True, slots=True)
class Shares:
    """One front end's turns."""

    hashing: Turns
    database: Turns
    domains: Turns
    store: Turns
    sessions: Turns
    pace: Pace
    """At the event loop."""
    by_tenant: bool
    flow: Flow = field(default_factory=Flow, init=False)
    """When the store of blobs last gave anything."""

    @classmethod
    def of(cls, settings: Settings) -> "Shares":
        """The turns that these settings give."""
        most, hashing = most_of(settings), settings.hashing
        bounds = {
            "hashing": Bounds(hashing_threads(hashing) + AHEAD, queue=hashing.queue, most=most),
            "database": Bounds(settings.database.connections, most=most),
            "domains": Bounds(LOOKUPS, queue=hashing.queue, most=most),
            # While the store hangs, who waits for a turn is to hear of it as soon as who has one.
            "store": Bounds(settings.fairness.store_reads, most=most, patience=settings.object_store.deadline),
            "sessions": Bounds(settings.limits.connections, queue=0, most=most),
        }
        turns = {resource: Turns(resource, each, sharing) for resource, each in bounds.items()}
        return cls(**turns, pace=_pace(settings), by_tenant=settings.fairness.by_tenant)

    def blobs(self, blobs: BlobStore, *, spare: bool = False) -> BlobStore:
        """`blobs` behind their turns; the `spare` ones for what no client waits for yet."""
        if spare:
            return SpareBlobs(AheadBlobs(blobs), self.store, self.flow)
        return FairBlobs(blobs, self.store, self.flow)

    def begun(self, blobs: BegunBlobs) -> BegunBlobs:
        """The spare ones again, where they are begun and not waited for."""
        return SpareBegun(blobs, self.store, self.flow, spans.recording)

    def fairness(self, owners: DomainOwners) -> Fairness:
        """What sessions share."""
        known = Owners(owners, self.domains) if self.by_tenant else None
        return Fairness(known, self.sessions, self.pace if self.by_tenant else None)

    @property
    def all(self) -> tuple[Turns | Pace, ...]:
        """What is asked for by tenant."""
        return (self.hashing, self.database, self.store, self.sessions, self.pace)


class HeavyTenants:
    """Says in the log who waited most for what, as often as it is called."""

    def __init__(self, shared: Sequence[Turns | Pace], fairness: Fairness) -> None:
        self._shared = shared
        self._owners = fairness.owners

    async def tell(self) -> None:
        """One line for each resource that was scarce since the last call."""
        for turns in self._shared:
            waits = turns.waits()
            worth = WORTH_TELLING_OF_LOOP if turns.resource == "loop" else WORTH_TELLING
            if self._owners is None or sum(waits.values()) < worth:
                continue
            heaviest = max(waits, key=waits.__getitem__)
            get_log("shares").info(
                "heavy tenant",
                resource=turns.resource,
                tenant=self._owners.name(heaviest),
                waited=waits[heaviest],
                others=sum(waits.values()) - waits[heaviest],
            )


def pace_of(settings: Settings) -> Pace | None:
    """The event loop's time in a process that shares nothing else by tenant."""
    return _pace(settings) if settings.fairness.by_tenant else None


def _pace(settings: Settings) -> Pace:
    return Pace(settings.fairness.steps, sharing, SAVINGS)


def long_texts(pace: Pace | None, waiting: Waiting) -> LongTexts | None:
    """What holds long texts back in a process with such a pace, and who waits for either."""
    if pace is None:
        return None
    turns = Turns("long_texts", Bounds(1), sharing)
    waiting.watch(pace, turns)
    return LongTexts(pace, turns)


def most_of(settings: Settings) -> float:
    """The part that one tenant alone may hold."""
    return settings.fairness.most if settings.fairness.by_tenant else 1.0
