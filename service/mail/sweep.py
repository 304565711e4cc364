"""The sweep: removes what expired, and deletes for good what was removed long ago or never listed.

Owns the order, which any crash and a second sweep at the same time survive. A removed message's blob goes first
and its row after it: in between, the row still says which blob to delete again. Staff restore only messages
removed less than the retention ago, so no restored row can name a blob that goes here. Refuses to know vendors.
RFC 2449 §6.7 (EXPIRE).
"""

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import cast

from service.mail.ports import BlobStore, Clock, Expired, StoredBlob, Sweepable

_AFTER_EVERY_DAY = "~"
"""Sorts after each day of a tenant, so that a search from here finds the next tenant."""


@dataclass(frozen=True, slots=True)
class SweepRules:
    """When a sweep deletes what."""

    removed_retention: timedelta = timedelta(days=7)
    """How long ago a message was removed before it is deleted."""
    orphan_age: timedelta = timedelta(days=1)
    """How old a blob that no row names is before it is deleted; longer than any delivery takes."""
    orphan_days: int = 8
    """How many days back a new process searches for such blobs; from there on it goes forward."""
    batch: int = 500
    """Messages or blobs dealt with in one step."""
    audit_retention: timedelta | None = timedelta(days=365)
    """How long the audit keeps an entry; None for good."""


@dataclass(frozen=True, slots=True)
class SweepReport:
    """What one sweep did."""

    expired: int
    """Messages removed because their maildrop's retention was over."""
    messages: int
    """Rows of removed messages deleted for good."""
    blobs: int
    """Blobs of removed messages deleted."""
    orphans: int
    """Blobs deleted that no row named."""
    backlog: int
    """Removed messages past their retention that are left."""
    audit: int = 0
    """Entries of the audit deleted."""


class Sweep:
    """The use case. One object sweeps again and again; each time it searches the days it has not finished."""

    def __init__(self, rows: Sweepable, blobs: BlobStore, clock: Clock, rules: SweepRules | None = None) -> None:
        self._rows = rows
        self._blobs = blobs
        self._clock = clock
        self._rules = rules or SweepRules()
        self._first_day: date | None = None

    async def __call__(self) -> SweepReport:
        """Sweep once. Raises Refusal(UNAVAILABLE) when a store fails; what was done by then stays done."""
        moment = self._clock.now() - self._rules.removed_retention
        expired = await self._expire()
        messages, blobs = await self._forget(moment)
        orphans = await self._delete_orphans(self._clock.now() - self._rules.orphan_age)
        audit = await self._forget_audit()
        return SweepReport(expired, messages, blobs, orphans, await self._rows.backlog(moment), audit)

    async def backlog(self) -> int:
        """Removed messages that are past their retention now. Raises Refusal(UNAVAILABLE)."""
        return await self._rows.backlog(self._clock.now() - self._rules.removed_retention)

    async def _expire(self) -> int:
        """Remove what is older than EXPIRE announced to its owner (RFC 2449 §6.7)."""
        total = 0
        while removed := await self._rows.expire(self._rules.batch):
            total += removed
        return total

    async def _forget(self, moment: datetime) -> tuple[int, int]:
        """Delete removed messages, their blobs first; how many rows and blobs."""
        messages = blobs = 0
        before: Sequence[Expired] = ()
        while batch := await self._rows.removed_before(moment, self._rules.batch):
            if batch == before:
                break
            keys = await self._rows.release_blobs(batch)
            await self._blobs.delete(keys)
            await self._rows.forget(batch)
            messages, blobs, before = messages + len(batch), blobs + len(keys), batch
        return messages, blobs

    async def _forget_audit(self) -> int:
        """Delete what the audit has kept long enough; how many entries."""
        if self._rules.audit_retention is None:
            return 0
        total, moment = 0, self._clock.now() - self._rules.audit_retention
        while deleted := await self._rows.forget_audit(moment, self._rules.batch):
            total += deleted
        return total

    async def _delete_orphans(self, moment: datetime) -> int:
        """Delete blobs older than `moment` that no row names, of every tenant that has blobs."""
        last = moment.date()
        first = self._first_day or last - timedelta(days=self._rules.orphan_days)
        total, tenant = 0, await self._tenant_after("")
        while tenant is not None:
            total += await self._delete_orphans_of(tenant, first, moment)
            tenant = await self._tenant_after(f"{tenant}/{_AFTER_EVERY_DAY}")
        # A blob that was written past midnight under the day before gets old enough a day later.
        self._first_day = last - timedelta(days=1)
        return total

    async def _tenant_after(self, key: str) -> str | None:
        async with aclosing(_generator(self._blobs.scan("", key))) as scan:
            async for blob in scan:
                return blob.key.partition("/")[0]
        return None

    async def _delete_orphans_of(self, tenant: str, first: date, moment: datetime) -> int:
        total = 0
        candidates: list[str] = []
        end = f"{tenant}/{moment:%Y/%m/%d}/{_AFTER_EVERY_DAY}"
        async with aclosing(_generator(self._blobs.scan(f"{tenant}/", f"{tenant}/{first:%Y/%m/%d}"))) as scan:
            async for blob in scan:
                if blob.key > end:
                    break
                if blob.modified < moment:
                    candidates.append(blob.key)
                if len(candidates) >= self._rules.batch:
                    total += await self._delete_unnamed(candidates)
                    candidates.clear()
        return total + await self._delete_unnamed(candidates)

    async def _delete_unnamed(self, keys: Sequence[str]) -> int:
        if not keys:
            return 0
        named = await self._rows.named(keys)
        orphans = [key for key in keys if key not in named]
        await self._blobs.delete(orphans)
        return len(orphans)


def _generator(scan: AsyncIterator[StoredBlob]) -> AsyncGenerator[StoredBlob, None]:
    """Every store's scan is a generator; one that is left early must be closed at once."""
    return cast("AsyncGenerator[StoredBlob, None]", scan)
