"""The in-memory twin of the homes.

Owns the same answers as `stores.postgres.homes`, over `MemoryState`. Refuses to know directories.
"""

from datetime import UTC, datetime
from uuid import UUID, uuid4

from service.mail.outside.ports import Home
from service.model.account import MaildropKey
from service.model.address import Address
from service.model.outside import OWN
from service.model.policy_table import policy_of
from service.model.tenancy import AuditEntry
from service.stores.memory.state import ACTIVE, REMOVED, MaildropRow, MemoryState


class MemoryHomes:
    """Implements `mail.outside.ports.Homes`."""

    def __init__(self, state: MemoryState) -> None:
        self._state = state

    async def of(self, domain: str) -> Home | None:
        """The home of this domain, or None."""
        row = self._state.domain(domain)
        tenant = self._state.tenants[row.tenant_id] if row else None
        if row is None or tenant is None or tenant.status == REMOVED:
            return None
        active = {tenant.status, row.status} == {ACTIVE}
        return Home(tenant.tenant_id, tenant.name, active, tenant.directory, policy_of(tenant.policy))

    async def provide(self, home: Home, address: Address, directory: str) -> UUID | None:
        """The maildrop's id, or None where there may be none."""
        found = await self.of(address.domain)
        domain = self._state.domain(address.domain)
        if domain is None or found is None or found.tenant_id != home.tenant_id or not found.active:
            return None
        if (found.directory or directory) != directory or directory == OWN:
            return None
        row = self._state.maildrop(domain, address.local)
        if row is None and self._state.aliased(domain, address.local) is not None:
            return None
        return (row or self._made(home, address, directory)).key.maildrop_id

    def _made(self, home: Home, address: Address, directory: str) -> MaildropRow:
        key = MaildropKey(home.tenant_id, uuid4())
        row = self._state.maildrops[key] = MaildropRow(key, address.domain, address.local)
        entry = AuditEntry(datetime.now(UTC), f"directory:{directory}", "maildrop.create", address.base)
        self._state.audit.append((home.tenant_id, entry))
        return row
