"""The in-memory twin of what the sweep sees.

Owns the same answers as `stores.postgres.sweep`, over `MemoryState`. Refuses to delete a row that is not
removed. RFC 2449 §6.7 (EXPIRE).
"""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from service.mail.ports import Expired
from service.model.account import MaildropKey
from service.stores.memory.index import record_removal, remove_rows
from service.stores.memory.state import REMOVED, MaildropRow, MemoryState, MessageRow


class MemorySweepable:
    """Implements `mail.ports.Sweepable`."""

    def __init__(self, state: MemoryState) -> None:
        self._state = state

    async def expire(self, limit: int) -> int:
        """Remove what is past its maildrop's expire_days or retrieved_days, at most `limit`; how many were."""
        removed = 0
        for maildrop in self._state.maildrops.values():
            due = [] if self._state.suspended(maildrop) else self._due(maildrop)
            gone = remove_rows(maildrop, due[: limit - removed], None, self._state.now())
            record_removal(self._state, maildrop, ("sweep", "messages.expire"), gone, {})
            removed += len(gone)
        return removed

    async def removed_before(self, moment: datetime, limit: int) -> Sequence[Expired]:
        """Messages removed before `moment`, oldest first, and those that a policy kept until now."""
        rows = sorted(self._removed_before(moment), key=lambda pair: pair[0])
        return [Expired(row.key, row.sequence, row.message.blob.key) for _, row in rows[:limit]]

    async def release_blobs(self, expired: Sequence[Expired]) -> Sequence[str]:
        """The blob keys among `expired` that no row outside `expired` names."""
        going = {(e.key, e.sequence) for e in expired}
        kept = {row.message.blob.key for row in self._state.rows() if (row.key, row.sequence) not in going}
        return sorted({e.blob_key for e in expired} - kept)

    async def forget(self, expired: Sequence[Expired]) -> None:
        """Delete these rows for good, as far as they are removed, and the removed maildrops they emptied."""
        for e in expired:
            rows = self._state.messages.get(e.key, {})
            if e.sequence in rows and rows[e.sequence].removed_at is not None:
                del rows[e.sequence]
        self._forget_maildrops()

    async def named(self, blob_keys: Sequence[str]) -> set[str]:
        """Those of `blob_keys` that some row names."""
        return {row.message.blob.key for row in self._state.rows()} & set(blob_keys)

    async def known(self, tenant_ids: Sequence[UUID]) -> set[UUID]:
        """Those of `tenant_ids` that are tenants here, or that the audit knows as removed."""
        removed = {tenant for tenant, entry in self._state.audit if entry.action == "tenant.remove"}
        return (self._state.tenants.keys() | removed) & set(tenant_ids)

    async def backlog(self, moment: datetime) -> int:
        """How many such messages still have a row."""
        return len(list(self._removed_before(moment)))

    async def forget_audit(self, moment: datetime, limit: int) -> int:
        """Delete what the audit kept before `moment`, at most `limit` entries; how many were."""
        due = [each for each in self._state.audit if each[1].moment < moment][:limit]
        self._state.audit = [each for each in self._state.audit if each not in due]
        return len(due)

    def _due(self, maildrop: MaildropRow) -> list[MessageRow]:
        # RFC 2449 §6.7 has EXPIRE 0 tell of what was downloaded: zero days since it was received remove nothing.
        policy, now = self._state.policy(maildrop), self._state.now()
        listed = [row for row in self._state.messages.get(maildrop.key, {}).values() if row.removed_at is None]
        received = sorted(listed, key=lambda row: row.message.received) if policy.expire_days else []
        due = [row for row in received if row.message.received < now - timedelta(days=policy.expire_days or 0)]
        for row in listed if policy.retrieved_days is not None else ():
            noted = row.retrieved_at
            if noted and noted < now - timedelta(days=policy.retrieved_days or 0) and row not in due:
                due.append(row)
        return due

    def _removed_before(self, moment: datetime) -> Iterator[tuple[datetime, MessageRow]]:
        for row in self._state.rows():
            if row.removed_at is None:
                continue
            kept_for_nobody = self._state.maildrops[row.key].status == REMOVED
            over = row.kept_until is not None and row.kept_until < self._state.now()
            if over or ((row.kept_until is None or kept_for_nobody) and row.removed_at < moment):
                yield row.removed_at, row

    def _forget_maildrops(self) -> None:
        state = self._state
        gone = [m.key for m in state.maildrops.values() if m.status == REMOVED and not state.messages.get(m.key)]
        for key in gone:
            self._forget_maildrop(key)
        state.domains = [d for d in state.domains if d.status != REMOVED or self._needed(d.tenant_id, d.name)]
        for tenant in [t for t in state.tenants.values() if t.status == REMOVED and not self._needed(t.tenant_id)]:
            del state.tenants[tenant.tenant_id]

    def _forget_maildrop(self, key: MaildropKey) -> None:
        state = self._state
        del state.maildrops[key]
        state.messages.pop(key, None)
        state.fences.pop(key, None)
        state.credentials = [c for c in state.credentials if c.key != key]
        owned = [
            name for name, target in state.aliases.items() if (name[0], target) == (key.tenant_id, key.maildrop_id)
        ]
        for name in owned:
            del state.aliases[name]

    def _needed(self, tenant_id: object, domain: str | None = None) -> bool:
        maildrops = [m for m in self._state.maildrops.values() if m.key.tenant_id == tenant_id]
        if domain is None:
            return bool(maildrops) or any(d.tenant_id == tenant_id for d in self._state.domains)
        aliases = [name for name in self._state.aliases if name[:2] == (tenant_id, domain)]
        return bool(aliases) or any(m.domain == domain for m in maildrops)
