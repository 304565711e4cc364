"""The in-memory twin of the tenants.

Owns the same answers as `stores.postgres.tenancy.tenants`. Refuses to delete a row: the sweep does.
"""

from collections.abc import Sequence
from uuid import uuid4

from service.mail.tenancy import Act, Page
from service.model.account import Status
from service.model.refusal import Reason, Refusal
from service.model.tenancy import Overrides, PolicyChange, TenantView, Usage, counted
from service.stores.memory.state import REMOVED, MemoryState, TenantRow
from service.stores.memory.tenancy.rows import owned, record, remove_maildrop, tenant_row


class MemoryTenants:
    """Implements `mail.tenancy.Tenants`."""

    def __init__(self, state: MemoryState) -> None:
        self._state = state

    async def create(self, act: Act, policy: Overrides) -> TenantView:
        """Create the tenant. Raises Refusal(EXISTS)."""
        if await self.find(act.tenant) is not None:
            raise Refusal(Reason.EXISTS, f"there is a tenant {act.tenant} already")
        row = TenantRow(uuid4(), act.tenant, policy=dict(policy))
        self._state.tenants[row.tenant_id] = row
        record(self._state, row, act, ("tenant.create", act.tenant), {"policy": dict(policy)})
        return _view(row)

    async def find(self, name: str) -> TenantView | None:
        """The tenant, or None."""
        return next((view for view in self._live() if view.name == name), None)

    async def page(self, page: Page) -> Sequence[TenantView]:
        """Tenants by ascending name."""
        return [view for view in self._live() if view.name > page.after][: page.limit]

    async def usage(self, name: str) -> Usage:
        """What the tenant holds. Raises Refusal(NOT_FOUND)."""
        tenant = tenant_row(self._state, name)
        domains = [d for d in self._state.domains if d.tenant_id == tenant.tenant_id and d.status != REMOVED]
        rows = owned(self._state, tenant)
        return Usage(len(domains), len(rows), sum(m.messages for m in rows), sum(m.octets for m in rows))

    async def set_status(self, act: Act, status: Status) -> None:
        """Suspend or resume. Raises Refusal(NOT_FOUND)."""
        row = tenant_row(self._state, act.tenant)
        row.status = status.value
        record(self._state, row, act, ("tenant.status", act.tenant), {"status": status.value})

    async def set_policy(self, act: Act, change: PolicyChange) -> None:
        """Change what the tenant sets. Raises Refusal(NOT_FOUND)."""
        row = tenant_row(self._state, act.tenant)
        row.policy = dict(change.applied_to(row.policy))
        record(self._state, row, act, ("tenant.policy", act.tenant), change.details)

    async def remove(self, act: Act, cascade: bool) -> None:
        """Remove the tenant. Raises Refusal: NOT_FOUND, EXISTS."""
        row = tenant_row(self._state, act.tenant)
        maildrops = owned(self._state, row)
        if maildrops and not cascade:
            raise Refusal(Reason.EXISTS, f"tenant {act.tenant} still has {counted(len(maildrops), 'maildrop')}")
        messages = sum(remove_maildrop(self._state, maildrop) for maildrop in maildrops)
        for domain in self._state.domains:
            if domain.tenant_id == row.tenant_id:
                domain.status = REMOVED
        state = self._state
        state.issuers = {key: each for key, each in state.issuers.items() if key[0] != row.tenant_id}
        row.status = REMOVED
        detail = {"maildrops": len(maildrops), "messages": messages}
        record(self._state, row, act, ("tenant.remove", act.tenant), detail)

    def _live(self) -> list[TenantView]:
        rows = (row for row in self._state.tenants.values() if row.status != REMOVED)
        return sorted(map(_view, rows), key=lambda view: view.name)


def _view(row: TenantRow) -> TenantView:
    return TenantView(row.tenant_id, row.name, Status(row.status), row.created, dict(row.policy))
