"""The in-memory twin of the audit.

Owns the same answers as `stores.postgres.tenancy.audit`. Refuses to change an entry.
"""

from collections.abc import Sequence

from service.model.refusal import Reason, Refusal
from service.model.tenancy import AuditEntry
from service.stores.memory.state import REMOVED, MemoryState


class MemoryAudit:
    """Implements `mail.tenancy.Audit`."""

    def __init__(self, state: MemoryState) -> None:
        self._state = state

    async def newest(self, tenant: str, limit: int) -> Sequence[AuditEntry]:
        """The tenant's entries, newest first. Raises Refusal(NOT_FOUND)."""
        named = [row for row in self._state.tenants.values() if row.name == tenant]
        if not named:
            raise Refusal(Reason.NOT_FOUND, f"there is no tenant {tenant}")
        live_first = min(reversed(named), key=lambda row: row.status == REMOVED)
        entries = [entry for tenant_id, entry in self._state.audit if tenant_id == live_first.tenant_id]
        return entries[::-1][:limit]
