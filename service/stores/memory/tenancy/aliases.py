"""The in-memory twin of the aliases.

Owns the same answers as `stores.postgres.tenancy.aliases`. Refuses an alias that would stand before a maildrop.
"""

from collections.abc import Sequence

from service.mail.tenancy import Act, Page
from service.model.account import MaildropKey
from service.model.address import Address
from service.model.refusal import Reason, Refusal
from service.model.tenancy import AliasView
from service.stores.memory.state import MemoryState
from service.stores.memory.tenancy.rows import domain_row, maildrop_row, record, tenant_or_none, tenant_row


class MemoryAliases:
    """Implements `mail.tenancy.Aliases`."""

    def __init__(self, state: MemoryState) -> None:
        self._state = state

    async def create(self, act: Act, alias: Address, target: Address) -> AliasView:
        """Name the maildrop `target` by another address. Raises Refusal: NOT_FOUND, EXISTS."""
        domain = domain_row(self._state, act.tenant, alias.domain)
        maildrop = maildrop_row(self._state, act.tenant, target)
        if self._state.maildrop(domain, alias.local) is not None:
            raise Refusal(Reason.EXISTS, f"{alias} is a maildrop")
        if self._state.aliased(domain, alias.local) is not None:
            raise Refusal(Reason.EXISTS, f"there is an alias {alias} already")
        self._state.aliases[domain.tenant_id, alias.domain, alias.local] = maildrop.key.maildrop_id
        self._record(act, "alias.create", alias, {"address": str(target)})
        return AliasView(str(alias), str(target), act.tenant)

    async def page(self, tenant: str, page: Page) -> Sequence[AliasView]:
        """The tenant's aliases by domain, then local part."""
        row = tenant_or_none(self._state, tenant)
        local, _, domain = page.after.rpartition("@")
        named = sorted(a for a in self._state.aliases if row is not None and a[0] == row.tenant_id and a[2])
        views = [
            AliasView(f"{alias[2]}@{alias[1]}", target.address, tenant)
            for alias in named
            if alias[1:] > (domain, local)
            for target in [self._state.maildrops[MaildropKey(alias[0], self._state.aliases[alias])]]
        ]
        return views[: page.limit]

    async def find(self, tenant: str, alias: Address) -> AliasView | None:
        """The alias, or None."""
        row = tenant_or_none(self._state, tenant)
        target = row and alias.local and self._state.aliases.get((row.tenant_id, alias.domain, alias.local))
        if not row or not target:
            return None
        return AliasView(str(alias), self._state.maildrops[MaildropKey(row.tenant_id, target)].address, tenant)

    async def point(self, act: Act, alias: Address, target: Address) -> None:
        """Have it name another maildrop. Raises Refusal(NOT_FOUND)."""
        domain = domain_row(self._state, act.tenant, alias.domain)
        maildrop = maildrop_row(self._state, act.tenant, target)
        if await self.find(act.tenant, alias) is None:
            raise Refusal(Reason.NOT_FOUND, f"there is no alias {alias}")
        self._state.aliases[domain.tenant_id, alias.domain, alias.local] = maildrop.key.maildrop_id
        self._record(act, "alias.point", alias, {"address": str(target)})

    async def remove(self, act: Act, alias: Address) -> None:
        """Raises Refusal(NOT_FOUND)."""
        domain = domain_row(self._state, act.tenant, alias.domain)
        if self._state.aliases.pop((domain.tenant_id, alias.domain, alias.local), None) is None:
            raise Refusal(Reason.NOT_FOUND, f"there is no alias {alias}")
        self._record(act, "alias.remove", alias, {})

    def _record(self, act: Act, action: str, alias: Address, detail: dict[str, object]) -> None:
        record(self._state, tenant_row(self._state, act.tenant), act, (action, str(alias)), detail)
