"""What there is, as far as a declaration speaks of it.

Owns what has to be read for a comparison: what is named, and with pruning all that stands in a section that is
written. Refuses to compare, and to read a verifier.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from service.mail.declared.wanted import WantedTenant
from service.mail.naming import pages
from service.mail.tenancy import Page, Tenancy
from service.model.refusal import Reason, Refusal
from service.model.tenancy import AliasView, CredentialView, DomainView, MaildropView, TenantView

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Present:
    """The tenant, or None, and what stands in it, by name."""

    tenant: TenantView | None = None
    directory: str | None = None
    domains: Mapping[str, DomainView] = field(default_factory=dict)
    maildrops: Mapping[str, MaildropView] = field(default_factory=dict)
    aliases: Mapping[str, AliasView] = field(default_factory=dict)
    credentials: Mapping[str, Sequence[CredentialView]] = field(default_factory=dict)
    """By address, of the maildrops whose credentials are spoken of."""


async def present(tenancy: Tenancy, wanted: WantedTenant, prune: bool) -> Present:
    """What there is. Raises Refusal: EXISTS, NOT_FOUND where a name is another tenant's or its domain is nobody's."""
    survey = _Survey(tenancy, wanted, prune)
    domains = await survey.domains()
    maildrops = await survey.maildrops()
    aliases = await survey.aliases()
    credentials = {address: await survey.credentials(address) for address in survey.armed() if address in maildrops}
    tenant = await tenancy.tenants.find(wanted.name)
    directory = await tenancy.directories.of(wanted.name) if tenant else None
    return Present(tenant, directory, domains, maildrops, aliases, credentials)


@dataclass(frozen=True, slots=True)
class _Survey:
    tenancy: Tenancy
    wanted: WantedTenant
    prune: bool

    async def domains(self) -> Mapping[str, DomainView]:
        named = {name: view for name in sorted(self.wanted.domain_names()) if (view := await self._domain(name))}
        if not self.prune or self.wanted.domains is None:
            return named
        port = self.tenancy.domains
        return named | {view.name: view async for view in pages(self._of(port.page), lambda view: view.name)}

    async def _domain(self, name: str) -> DomainView | None:
        view = await self.tenancy.domains.find(name)
        own = view is not None and view.tenant == self.wanted.name
        if name not in (self.wanted.domains or ()) and not own:
            raise Refusal(Reason.NOT_FOUND, f"tenant {self.wanted.name} has no domain {name}")
        if view is not None and not own:
            raise Refusal(Reason.EXISTS, f"the domain {name} belongs to another tenant")
        return view

    async def maildrops(self) -> Mapping[str, MaildropView]:
        port = self.tenancy.maildrops
        if self.wanted.maildrops is None:
            return {}
        if self.prune:
            return {view.address: view async for view in pages(self._of(port.page), lambda view: view.address)}
        found = [await port.find(self.wanted.name, each.address) for each in self.wanted.maildrops.values()]
        return {view.address: view for view in found if view}

    async def aliases(self) -> Mapping[str, AliasView]:
        port = self.tenancy.aliases
        if self.prune and any(each.aliases is not None for each in (self.wanted.maildrops or {}).values()):
            return {view.alias: view async for view in pages(self._of(port.page), lambda view: view.alias)}
        found = [await port.find(self.wanted.name, alias) for alias, _ in self.wanted.aliases()]
        return {view.alias: view for view in found if view}

    def armed(self) -> list[str]:
        """The addresses of maildrops whose credentials are spoken of."""
        every = (self.wanted.maildrops or {}).items()
        return [address for address, maildrop in every if maildrop.credentials is not None]

    def _of(self, page: Callable[[str, Page], Awaitable[Sequence[T]]]) -> Callable[[Page], Awaitable[Sequence[T]]]:
        return lambda each: page(self.wanted.name, each)

    async def credentials(self, address: str) -> Sequence[CredentialView]:
        maildrop = (self.wanted.maildrops or {})[address]
        return await self.tenancy.credentials.of(self.wanted.name, maildrop.address)
