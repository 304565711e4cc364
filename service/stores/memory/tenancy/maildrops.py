"""The in-memory twin of the maildrops.

Owns the same answers as `stores.postgres.tenancy.maildrops`. Refuses to reuse an id (G7).
"""

from collections.abc import Sequence
from datetime import datetime
from uuid import uuid4

from service.mail.tenancy import Act, Page
from service.model.account import MaildropKey, Status
from service.model.address import Address
from service.model.refusal import Reason, Refusal
from service.model.tenancy import MaildropView, Overrides, PolicyChange
from service.stores.memory.state import MaildropRow, MemoryState
from service.stores.memory.tenancy.rows import domain_row, maildrop_row, owned, record, remove_maildrop, tenant_or_none


class MemoryMaildrops:
    """Implements `mail.tenancy.Maildrops`."""

    def __init__(self, state: MemoryState) -> None:
        self._state = state

    async def create(self, act: Act, address: Address, policy: Overrides) -> MaildropView:
        """Create the maildrop. Raises Refusal: NOT_FOUND, EXISTS."""
        domain = domain_row(self._state, act.tenant, address.domain)
        if self._state.aliased(domain, address.local) is not None:
            raise Refusal(Reason.EXISTS, f"{address} is an alias")
        if self._state.maildrop(domain, address.local) is not None:
            raise Refusal(Reason.EXISTS, f"there is a maildrop {address} already")
        key = MaildropKey(domain.tenant_id, uuid4())
        row = MaildropRow(key, address.domain, address.local, policy=dict(policy))
        self._state.maildrops[key] = row
        self._record(row, act, "maildrop.create", {"policy": dict(policy)})
        return self._view(row)

    async def find(self, tenant: str, address: Address) -> MaildropView | None:
        """The maildrop, or None."""
        try:
            return self._view(maildrop_row(self._state, tenant, address))
        except Refusal:
            return None

    async def last_delivery(self, tenant: str, address: Address) -> datetime | None:
        """When its newest message came; None if there is none."""
        view = await self.find(tenant, address)
        found = [rows for key, rows in self._state.messages.items() if view and key.maildrop_id == view.maildrop_id]
        return found[0][max(found[0])].message.received if found and found[0] else None

    async def page(self, tenant: str, page: Page) -> Sequence[MaildropView]:
        """The tenant's maildrops by domain, then local part."""
        local, _, domain = page.after.rpartition("@")
        rows = owned(self._state, tenant_or_none(self._state, tenant))
        return [self._view(row) for row in rows if (row.domain, row.local) > (domain, local)][: page.limit]

    async def set_status(self, act: Act, address: Address, status: Status) -> None:
        """Suspend or resume. Raises Refusal(NOT_FOUND)."""
        row = maildrop_row(self._state, act.tenant, address)
        row.status = status.value
        self._record(row, act, "maildrop.status", {"status": status.value})

    async def set_policy(self, act: Act, address: Address, change: PolicyChange) -> None:
        """Change what the maildrop itself sets. Raises Refusal(NOT_FOUND)."""
        row = maildrop_row(self._state, act.tenant, address)
        row.policy = dict(change.applied_to(row.policy))
        self._record(row, act, "maildrop.policy", change.details)

    async def remove(self, act: Act, address: Address) -> int:
        """How many messages were removed with it. Raises Refusal(NOT_FOUND)."""
        row = maildrop_row(self._state, act.tenant, address)
        messages = remove_maildrop(self._state, row)
        self._record(row, act, "maildrop.remove", {"messages": messages})
        return messages

    def _record(self, row: MaildropRow, act: Act, action: str, detail: dict[str, object]) -> None:
        record(self._state, self._state.tenants[row.key.tenant_id], act, (action, row.address), detail)

    def _view(self, row: MaildropRow) -> MaildropView:
        tenant = self._state.tenants[row.key.tenant_id]
        return MaildropView(
            row.key.maildrop_id,
            tenant.name,
            row.address,
            Status(row.status),
            row.created,
            row.messages,
            row.octets,
            dict(row.policy),
            dict(tenant.policy),
        )
