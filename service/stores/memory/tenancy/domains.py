"""The in-memory twin of the domains.

Owns the same answers as `stores.postgres.tenancy.domains`. Refuses to delete a row: the sweep does.
"""

from collections.abc import Sequence

from service.mail.tenancy import Act, Page
from service.model.account import Status
from service.model.address import Address
from service.model.refusal import Reason, Refusal
from service.model.tenancy import DomainView, counted
from service.stores.memory.state import REMOVED, DomainRow, MemoryState
from service.stores.memory.tenancy.rows import domain_row, maildrop_row, owned, record, remove_maildrop, tenant_row


class MemoryDomains:
    """Implements `mail.tenancy.Domains`."""

    def __init__(self, state: MemoryState) -> None:
        self._state = state

    async def create(self, act: Act, name: str) -> DomainView:
        """Give the domain to the tenant. Raises Refusal: NOT_FOUND, EXISTS."""
        tenant = tenant_row(self._state, act.tenant)
        if self._state.domain(name) is not None:
            raise Refusal(Reason.EXISTS, f"the domain {name} belongs to a tenant already")
        self._state.domains = [d for d in self._state.domains if (d.tenant_id, d.name) != (tenant.tenant_id, name)]
        row = DomainRow(tenant.tenant_id, name)
        self._state.domains.append(row)
        record(self._state, tenant, act, ("domain.create", name))
        return self._view(row)

    async def find(self, name: str) -> DomainView | None:
        """The domain, whoever owns it, or None."""
        row = self._state.domain(name)
        return self._view(row) if row else None

    async def page(self, tenant: str, page: Page) -> Sequence[DomainView]:
        """The tenant's domains by ascending name."""
        views = [self._view(row) for row in self._state.domains if row.status != REMOVED and row.name > page.after]
        return sorted((view for view in views if view.tenant == tenant), key=lambda view: view.name)[: page.limit]

    async def set_status(self, act: Act, name: str, status: Status) -> None:
        """Suspend or resume. Raises Refusal(NOT_FOUND)."""
        row = domain_row(self._state, act.tenant, name)
        row.status = status.value
        self._record(row, act, "domain.status", {"status": status.value})

    async def set_catch_all(self, act: Act, name: str, address: Address | None) -> None:
        """Where mail for unknown local parts goes. Raises Refusal(NOT_FOUND)."""
        row = domain_row(self._state, act.tenant, name)
        self._state.aliases.pop((row.tenant_id, name, ""), None)
        if address is not None:
            target = maildrop_row(self._state, act.tenant, address)
            self._state.aliases[row.tenant_id, name, ""] = target.key.maildrop_id
        self._record(row, act, "domain.catch_all", {"address": address and str(address)})

    async def remove(self, act: Act, name: str, cascade: bool) -> None:
        """Remove the domain. Raises Refusal: NOT_FOUND, EXISTS."""
        row = domain_row(self._state, act.tenant, name)
        maildrops = owned(self._state, self._state.tenants[row.tenant_id], name)
        aliases = [alias for alias in self._state.aliases if alias[:2] == (row.tenant_id, name)]
        named = sum(1 for alias in aliases if alias[2])
        if (maildrops or named) and not cascade:
            uses = f"{counted(len(maildrops), 'maildrop')} and {counted(named, 'alias')}"
            raise Refusal(Reason.EXISTS, f"domain {name} still has {uses}")
        messages = sum(remove_maildrop(self._state, maildrop) for maildrop in maildrops)
        for alias in aliases:
            self._state.aliases.pop(alias, None)
        row.status = REMOVED
        self._record(row, act, "domain.remove", {"maildrops": len(maildrops), "messages": messages})

    def _record(self, row: DomainRow, act: Act, action: str, detail: dict[str, object]) -> None:
        record(self._state, self._state.tenants[row.tenant_id], act, (action, row.name), detail)

    def _view(self, row: DomainRow) -> DomainView:
        target = self._state.aliased(row, "")
        tenant = self._state.tenants[row.tenant_id].name
        return DomainView(row.name, tenant, Status(row.status), row.created, target.address if target else None)
