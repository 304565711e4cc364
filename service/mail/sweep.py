"""The sweep: removes what expired, and deletes for good what was removed long ago or never listed.

Owns the order, which any crash and a second sweep at the same time survive. A removed message's blob goes first
and its row after it: in between, the row still says which blob to delete again. Staff restore only messages
removed less than the retention ago, so no restored row can name a blob that goes here. What no row
names may still be another database's mail: it goes only where its tenant is one of these rows', or was (G1). Refuses to
know vendors. RFC 2449 §6.7 (EXPIRE).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from uuid import UUID

from service.mail.ports import BlobStore, Clock, Expired, Sweepable
from service.mail.shipment import is_blob_key
from service.mail.tenants_stored import AFTER_EVERY_KEY, scanned, tenants_stored


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
    strangers: int = 0
    """Tenants whose blobs were left alone, since this database has none of that id and removed none."""


def _uncounted(_messages: int, _blobs: int, _orphans: int) -> None:
    """Where nobody counts."""


class Sweep:
    """The use case. One object sweeps again and again; each time it searches the days it has not finished."""

    def __init__(
        self,
        rows: Sweepable,
        blobs: BlobStore,
        clock: Clock,
        rules: SweepRules | None = None,
        deleted: Callable[[int, int, int], None] = _uncounted,
    ) -> None:
        """`deleted` hears at once of rows, their blobs and orphans that went: a sweep that fails reports nothing."""
        self._rows = rows
        self._deleted = deleted
        self._blobs = blobs
        self._clock = clock
        self._rules = rules or SweepRules()
        self._first_day: date | None = None

    async def __call__(self) -> SweepReport:
        """Sweep once. Raises Refusal(UNAVAILABLE) when a store fails; what was done by then stays done."""
        moment = self._clock.now() - self._rules.removed_retention
        expired = await self._expire()
        messages, blobs = await self._forget(moment)
        orphans, strangers = await self._delete_orphans(self._clock.now() - self._rules.orphan_age)
        audit = await self._forget_audit()
        return SweepReport(expired, messages, blobs, orphans, await self._rows.backlog(moment), audit, strangers)

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
            self._deleted(len(batch), len(keys), 0)
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

    async def _delete_orphans(self, moment: datetime) -> tuple[int, int]:
        """Delete blobs older than `moment` that no row names; how many, and how many tenants are strangers."""
        last = moment.date()
        first = self._first_day or last - timedelta(days=self._rules.orphan_days)
        stored = await tenants_stored(self._blobs)
        known = await self._known(stored)
        total = 0
        for tenant in stored:
            if tenant in known:
                total += await self._delete_orphans_of(tenant.hex, first, moment)
        # A blob that was written past midnight under the day before gets old enough a day later.
        self._first_day = last - timedelta(days=1)
        return total, len(stored) - len(known)

    async def _known(self, tenants: Sequence[UUID]) -> set[UUID]:
        known: set[UUID] = set()
        for begin in range(0, len(tenants), self._rules.batch):
            known |= await self._rows.known(tenants[begin : begin + self._rules.batch])
        return known

    async def _delete_orphans_of(self, tenant: str, first: date, moment: datetime) -> int:
        total = 0
        candidates: list[str] = []
        end = f"{tenant}/{moment:%Y/%m/%d}/{AFTER_EVERY_KEY}"
        async with scanned(self._blobs, f"{tenant}/", f"{tenant}/{first:%Y/%m/%d}") as scan:
            async for blob in scan:
                if blob.key > end:
                    break
                if blob.modified < moment and is_blob_key(blob.key):
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
        self._deleted(0, 0, len(orphans))
        return len(orphans)
