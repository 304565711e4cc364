"""The in-memory twin of the register of recent logins.

Owns the same counting and bounds as `stores.redis.recent`; who holds a maildrop is asked of the twin of the locks.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from service.mail.ports import Clock, Holder, MaildropLocks
from service.mail.recent import IN_BUCKET, Attempt, UnknownName, Whose, identity_of, sort_of, whose
from service.model.account import MaildropKey
from service.model.event import Event

SORTS = 15
LASTING = timedelta(days=14)


class MemoryRecentLogins:
    """Implements `mail.recent.RecentLogins`."""

    def __init__(self, clock: Clock, locks: MaildropLocks, sorts: int = SORTS) -> None:
        self._clock = clock
        self._locks = locks
        self._sorts = sorts
        self._kept: dict[MaildropKey | int, dict[tuple[str, str], tuple[str, Attempt]]] = {}
        """Whose -> (digest of an unknown name, sort) -> id of the last event, attempt."""
        self._addresses: dict[MaildropKey, str] = {}

    async def take(self, batch: Sequence[Event]) -> None:
        """Keep the logins and refusals among `batch`."""
        for event in batch:
            concerned = whose(event)
            if concerned is not None:
                self._remember(event, concerned)

    async def of(self, whose: Whose) -> Sequence[Attempt]:
        """What is kept, the last one first."""
        oldest = self._clock.now() - LASTING
        kept = [attempt for (digest, _), (_, attempt) in self._register(whose).items() if digest == _digest(whose)]
        return sorted((one for one in kept if one.last >= oldest), key=lambda one: one.last, reverse=True)

    async def holder(self, key: MaildropKey) -> Holder | None:
        """Who holds the maildrop now."""
        address = self._addresses.get(key)
        return next((one for one in await self._locks.holders() if one.address == address), None)

    def _remember(self, event: Event, concerned: Whose) -> None:
        register, field = self._register(concerned), (_digest(concerned), sort_of(event))
        if isinstance(concerned, MaildropKey):
            self._addresses[concerned] = event.address
        new, identity = _attempt(event), identity_of(event)
        if field in register:
            last_id, old = register[field]
            if last_id == identity:
                return
            new = replace(new, first=old.first, count=old.count + 1)
        else:
            self._make_room(register, field[1][0], concerned)
        register[field] = identity, new

    def _make_room(self, register: dict[tuple[str, str], tuple[str, Attempt]], kind: str, concerned: Whose) -> None:
        unknown = isinstance(concerned, UnknownName)
        same = [field for field in register if unknown or field[1].startswith(kind)]
        if len(same) >= (IN_BUCKET if unknown else self._sorts):
            del register[min(same, key=lambda field: register[field][1].last)]

    def _register(self, concerned: Whose) -> dict[tuple[str, str], tuple[str, Attempt]]:
        name = concerned.bucket if isinstance(concerned, UnknownName) else concerned
        return self._kept.setdefault(name, {})


def _digest(whose: Whose) -> str:
    return whose.digest if isinstance(whose, UnknownName) else ""


def _attempt(event: Event) -> Attempt:
    e = event
    return Attempt(
        e.kind,
        e.moment,
        e.moment,
        1,
        client=e.client,
        mechanism=e.mechanism,
        listener=e.listener,
        tls=e.tls,
        credential=e.credential,
        reason=e.reason,
        detail=e.detail,
        session=e.session,
    )
