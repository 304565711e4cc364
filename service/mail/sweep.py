"""The sweep: removes what expired, and deletes for good what was removed long ago or never listed.

Owns the order, which any crash and a second sweep at the same time survive. A removed message's blob goes first
and its row after it: in between, the row still says which blob to delete again. Staff restore only messages
removed less than the retention ago, so no restored row can name a blob that goes here. What no row
names may still be another database's mail: it goes only where its tenant is one of these rows', or was (G1). What the
store keeps, or a part that fails, holds up nothing else. Refuses to know vendors. RFC 2449 §6.7 (EXPIRE).
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TypeVar
from uuid import UUID

from service.mail.blob_removal import BlobRemoval, Kept
from service.mail.ports import BlobStore, Clock, Expired, Sweepable
from service.mail.shipment import is_blob_key
from service.mail.tenants_stored import AFTER_EVERY_KEY, scanned, tenants_stored
from service.model.refusal import Refusal

Part = TypeVar("Part")


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


def _untold(_key: str, _refusal: Refusal) -> None:
    """Where nobody hears of it."""


@dataclass(frozen=True, slots=True)
class SweepTold:
    """Who hears at once of what a sweep does: one that fails reports nothing."""

    deleted: Callable[[int, int, int], None] = _uncounted
    """Rows, their blobs and orphans that went."""
    kept: Kept = _untold
    """A blob that the store doesn't delete."""


class Sweep:
    """The use case. One object sweeps again and again; each time it searches the days it has not finished."""

    def __init__(
        self,
        rows: Sweepable,
        blobs: BlobStore,
        clock: Clock,
        rules: SweepRules | None = None,
        told: SweepTold | None = None,
    ) -> None:
        self._rows = rows
        self._told = told or SweepTold()
        self._blobs = blobs
        self._clock = clock
        self._rules = rules or SweepRules()
        self._first_day: date | None = None

    async def __call__(self) -> SweepReport:
        """Sweep once. Raises Refusal(UNAVAILABLE) when a store fails, or keeps a blob; what was done stays done."""
        moment = self._clock.now() - self._rules.removed_retention
        removal = BlobRemoval(self._blobs, self._clock, self._told.kept)
        expired = await self._expire()
        messages, blobs = await _tried(self._forget(moment, removal), (0, 0), removal)
        old = self._clock.now() - self._rules.orphan_age
        orphans, strangers = await _tried(self._delete_orphans(old, removal), (0, 0), removal)
        audit = await _tried(self._forget_audit(), 0, removal)
        if removal.failures:
            raise removal.failures[0]
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

    async def _forget(self, moment: datetime, removal: BlobRemoval) -> tuple[int, int]:
        """Delete removed messages, their blobs first; how many rows and blobs. The rows of blobs that stay do too."""
        messages = blobs = 0
        before: Sequence[Expired] = ()
        staying: set[Expired] = set()
        while (found := await self._next_removed(moment, staying)) and found != before:
            for begin in range(0, len(found), self._rules.batch):
                batch = found[begin : begin + self._rules.batch]
                stay, gone = await self._forget_batch(batch, removal)
                staying |= stay
                messages, blobs = messages + len(batch) - len(stay), blobs + gone
            before = found
        return messages, blobs

    async def _forget_batch(self, batch: Sequence[Expired], removal: BlobRemoval) -> tuple[set[Expired], int]:
        """Those that stay, as their blobs do, and how many blobs went."""
        keys = await self._rows.release_blobs(batch)
        gone = await removal(keys) if keys else frozenset[str]()
        kept = set(keys) - gone
        rows = [row for row in batch if row.blob_key not in kept]
        await self._rows.forget(rows)
        self._told.deleted(len(rows), len(gone), 0)
        return {row for row in batch if row.blob_key in kept}, len(gone)

    async def _next_removed(self, moment: datetime, staying: set[Expired]) -> Sequence[Expired]:
        """The oldest but those `staying`: as many as these, where they are many, which are read again each time."""
        found = await self._rows.removed_before(moment, self._rules.batch + 2 * len(staying))
        return [row for row in found if row not in staying]

    async def _forget_audit(self) -> int:
        """Delete what the audit has kept long enough; how many entries."""
        if self._rules.audit_retention is None:
            return 0
        total, moment = 0, self._clock.now() - self._rules.audit_retention
        while deleted := await self._rows.forget_audit(moment, self._rules.batch):
            total += deleted
        return total

    async def _delete_orphans(self, moment: datetime, removal: BlobRemoval) -> tuple[int, int]:
        """Delete blobs older than `moment` that no row names; how many, and how many tenants are strangers."""
        last = moment.date()
        first = self._first_day or last - timedelta(days=self._rules.orphan_days)
        stored = await tenants_stored(self._blobs)
        known = await self._known(stored)
        total, failed = 0, len(removal.failures)
        for tenant in stored:
            if tenant in known:
                total += await self._delete_orphans_of(tenant.hex, first, moment, removal)
        if len(removal.failures) == failed:
            # A blob that was written past midnight under the day before gets old enough a day later.
            self._first_day = last - timedelta(days=1)
        return total, len(stored) - len(known)

    async def _known(self, tenants: Sequence[UUID]) -> set[UUID]:
        known: set[UUID] = set()
        for begin in range(0, len(tenants), self._rules.batch):
            known |= await self._rows.known(tenants[begin : begin + self._rules.batch])
        return known

    async def _delete_orphans_of(self, tenant: str, first: date, moment: datetime, removal: BlobRemoval) -> int:
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
                    total += await self._delete_unnamed(candidates, removal)
                    candidates.clear()
        return total + await self._delete_unnamed(candidates, removal)

    async def _delete_unnamed(self, keys: Sequence[str], removal: BlobRemoval) -> int:
        if not keys:
            return 0
        named = await self._rows.named(keys)
        orphans = [key for key in keys if key not in named]
        if not orphans:
            return 0
        gone = await removal(orphans)
        self._told.deleted(0, 0, len(gone))
        return len(gone)


async def _tried(part: Awaitable[Part], otherwise: Part, removal: BlobRemoval) -> Part:
    """What the part of a sweep did; `otherwise` where it failed, which is kept for the sweep's end."""
    try:
        return await part
    except Refusal as refusal:
        removal.failures.append(refusal)
        return otherwise
