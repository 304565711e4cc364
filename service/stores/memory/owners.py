"""The in-memory twin of the domains' owners.

Owns the same answers as `stores.postgres.owners`, over `MemoryState`. Refuses to write.
"""

from uuid import UUID

from service.stores.memory.state import MemoryState


class MemoryDomainOwners:
    """Implements `mail.ports.DomainOwners`."""

    def __init__(self, state: MemoryState) -> None:
        self._state = state

    async def owner(self, domain: str) -> tuple[UUID, str] | None:
        """The id and the name of the tenant that has `domain`, or None."""
        row = self._state.domain(domain)
        return (row.tenant_id, self._state.tenants[row.tenant_id].name) if row else None
