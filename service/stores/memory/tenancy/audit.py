"""The in-memory twin of the audit.

Owns the same answers as `stores.postgres.tenancy.audit`. Refuses to change an entry.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

from service.mail.tenancy import Act, AuditQuery
from service.model.refusal import Reason, Refusal
from service.model.tenancy import AuditEntry
from service.model.token import SERVICE
from service.stores.memory.state import REMOVED, MemoryState


class MemoryAudit:
    """Implements `mail.tenancy.Audit`."""

    def __init__(self, state: MemoryState) -> None:
        self._state = state

    async def newest(self, tenant: str, limit: int) -> Sequence[AuditEntry]:
        """The tenant's entries, newest first. Raises Refusal(NOT_FOUND)."""
        return await self.page(tenant, AuditQuery(limit=limit))

    async def note(self, act: Act, what: tuple[str, str], details: Mapping[str, object] | None = None) -> None:
        """Keep an act that changes no row. Raises Refusal(NOT_FOUND)."""
        tenant_id = self._tenant_id(act.tenant) if act.tenant else SERVICE
        self._state.audit.append((tenant_id, AuditEntry(datetime.now(UTC), act.actor, *what, dict(details or {}))))

    async def page(self, tenant: str | None, query: AuditQuery) -> Sequence[AuditEntry]:
        """The matching entries, newest first. Raises Refusal(NOT_FOUND)."""
        tenant_id = SERVICE if tenant is None else self._tenant_id(tenant)
        entries = [entry for entry in self._entries(tenant_id) if _matches(entry, query)]
        return entries[::-1][: query.limit]

    def _entries(self, tenant_id: UUID) -> Iterator[AuditEntry]:
        for number, (whose, entry) in enumerate(self._state.audit, 1):
            if whose == tenant_id:
                yield replace(entry, entry_id=number)

    def _tenant_id(self, tenant: str) -> UUID:
        named = [row for row in self._state.tenants.values() if row.name == tenant]
        if not named:
            raise Refusal(Reason.NOT_FOUND, f"there is no tenant {tenant}")
        return min(reversed(named), key=lambda row: row.status == REMOVED).tenant_id


def _matches(entry: AuditEntry, query: AuditQuery) -> bool:
    return (
        (query.before is None or entry.entry_id < query.before)
        and query.actor in {None, entry.actor}
        and query.action in {None, entry.action}
        and query.subject in {None, entry.subject}
        and (query.since is None or entry.moment >= query.since)
        and (query.until is None or entry.moment < query.until)
    )
