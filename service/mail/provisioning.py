"""How tenants, domains, maildrops, aliases and credentials come to be, change and go.

Owns what a value must be before a store sees it, and whose tenancy a write belongs to: the domain's owner's, or that of
`tenant`, of whose things alone any is then seen or changed (G10). Refuses to know who offers it, and where rows are.
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from service.mail.issuing import IssuerProvisioning
from service.mail.naming import domain_name, found, maildrop_address, new_alias, new_maildrop, owned, pages, plainly
from service.mail.outside.choosing import DirectoryProvisioning
from service.mail.passwords import Passwords
from service.mail.tenancy import MARGIN, Act, AuditQuery, Page, Tenancy
from service.model.account import Status
from service.model.address import Address
from service.model.policy_table import check_policy
from service.model.tenancy import (
    NOTHING_SET,
    AliasView,
    AuditEntry,
    CredentialView,
    DomainView,
    MaildropView,
    NewCredential,
    Overrides,
    PolicyChange,
    RemovedMessage,
    TenantView,
    Usage,
    parse_tenant_name,
)


@dataclass(frozen=True, slots=True)
class Office:
    """Who provisions, and through which stores."""

    tenancy: Tenancy
    actor: str
    removed_retention: timedelta = timedelta(days=7)
    """How long the sweep leaves a removed message alone."""

    @property
    def restorable(self) -> timedelta:
        """How long ago a message may have been removed so that it can be restored without racing the sweep."""
        return self.removed_retention - min(MARGIN, self.removed_retention / 2)

    def act(self, tenant: str) -> Act:
        """A write in this tenancy."""
        return Act(self.actor, tenant)

    async def acting(self, address: str, tenant: str | None) -> tuple[Act, Address]:
        """A write that concerns `address`, in the tenancy of its domain. Raises Refusal: INVALID, NOT_FOUND."""
        return await self.acting_on(maildrop_address(address), tenant)

    async def acting_on(self, name: Address, tenant: str | None) -> tuple[Act, Address]:
        """The same of an address that was read. Raises Refusal: INVALID, NOT_FOUND."""
        return self.act((await owned(self.tenancy.domains, name.domain, tenant)).tenant), name


@dataclass(frozen=True, slots=True)
class TenantProvisioning:
    """The life of tenants, by name."""

    office: Office

    async def create(self, name: str, policy: Overrides = NOTHING_SET) -> TenantView:
        """Raises Refusal: INVALID, EXISTS."""
        with plainly():
            check_policy(policy)
            act = self.office.act(parse_tenant_name(name))
        return await self.office.tenancy.tenants.create(act, policy)

    async def show(self, name: str) -> TenantView:
        """The tenant. Raises Refusal(NOT_FOUND)."""
        return found(await self.office.tenancy.tenants.find(name), f"there is no tenant {name}")

    async def usage(self, name: str) -> Usage:
        """What it holds. Raises Refusal(NOT_FOUND)."""
        return await self.office.tenancy.tenants.usage(name)

    async def history(self, name: str, limit: int = 100) -> Sequence[AuditEntry]:
        """What was done to it and in it, newest first. Raises Refusal(NOT_FOUND)."""
        return await self.office.tenancy.audit.newest(name, limit)

    async def audited(self, name: str | None, query: AuditQuery) -> Sequence[AuditEntry]:
        """The matching entries of a tenant's audit, or of the service's own. Raises Refusal(NOT_FOUND)."""
        return await self.office.tenancy.audit.page(name, query)

    def every(self) -> AsyncIterator[TenantView]:
        """All tenants by name."""
        return pages(self.office.tenancy.tenants.page, lambda view: view.name)

    async def set_status(self, name: str, status: Status) -> None:
        """Suspend or resume; binds the next login (G11). Raises Refusal(NOT_FOUND)."""
        await self.office.tenancy.tenants.set_status(self.office.act(name), status)

    async def set_policy(self, name: str, change: PolicyChange) -> None:
        """Change what the tenant sets. Raises Refusal: INVALID, NOT_FOUND."""
        with plainly():
            check_policy(change.values)
        await self.office.tenancy.tenants.set_policy(self.office.act(name), change)

    async def remove(self, name: str, cascade: bool = False) -> None:
        """Raises Refusal: NOT_FOUND, or EXISTS when it has maildrops and `cascade` is false."""
        await self.office.tenancy.tenants.remove(self.office.act(name), cascade)


@dataclass(frozen=True, slots=True)
class DomainProvisioning:
    """The life of domains, by name; a domain belongs to one tenant."""

    office: Office

    async def create(self, tenant: str, name: str) -> DomainView:
        """Raises Refusal: INVALID, NOT_FOUND (the tenant), EXISTS (any tenant owns the domain)."""
        return await self.office.tenancy.domains.create(self.office.act(tenant), domain_name(name))

    async def show(self, name: str, tenant: str | None = None) -> DomainView:
        """The domain. Raises Refusal: INVALID, NOT_FOUND."""
        return await owned(self.office.tenancy.domains, name, tenant)

    def every(self, tenant: str) -> AsyncIterator[DomainView]:
        """All domains of the tenant by name."""
        return pages(lambda page: self.office.tenancy.domains.page(tenant, page), lambda view: view.name)

    async def set_status(self, name: str, status: Status, tenant: str | None = None) -> None:
        """Suspend or resume; binds the next login (G11). Raises Refusal: INVALID, NOT_FOUND."""
        domain = await self.show(name, tenant)
        await self.office.tenancy.domains.set_status(self.office.act(domain.tenant), domain.name, status)

    async def set_catch_all(self, name: str, address: str | None, tenant: str | None = None) -> None:
        """Send mail for unknown local parts to this maildrop, or refuse it. Raises Refusal: INVALID, NOT_FOUND."""
        domain = await self.show(name, tenant)
        target = None if address is None else maildrop_address(address)
        await self.office.tenancy.domains.set_catch_all(self.office.act(domain.tenant), domain.name, target)

    async def remove(self, name: str, cascade: bool = False, tenant: str | None = None) -> None:
        """Raises Refusal: NOT_FOUND, or EXISTS when it has maildrops or aliases and `cascade` is false."""
        domain = await self.show(name, tenant)
        await self.office.tenancy.domains.remove(self.office.act(domain.tenant), domain.name, cascade)


@dataclass(frozen=True, slots=True)
class MaildropProvisioning:
    """The life of maildrops, by address."""

    office: Office

    async def create(self, address: str, policy: Overrides = NOTHING_SET, tenant: str | None = None) -> MaildropView:
        """Raises Refusal: INVALID, NOT_FOUND (the domain), EXISTS."""
        with plainly():
            check_policy(policy)
        act, name = await self.office.acting_on(new_maildrop(address), tenant)
        return await self.office.tenancy.maildrops.create(act, name, policy)

    async def show(self, address: str, tenant: str | None = None) -> MaildropView:
        """The maildrop. Raises Refusal: INVALID, NOT_FOUND."""
        act, name = await self.office.acting(address, tenant)
        return found(await self.office.tenancy.maildrops.find(act.tenant, name), f"there is no maildrop {name}")

    def every(self, tenant: str) -> AsyncIterator[MaildropView]:
        """All maildrops of the tenant by domain, then local part."""
        return pages(lambda page: self.office.tenancy.maildrops.page(tenant, page), lambda view: view.address)

    async def set_status(self, address: str, status: Status, tenant: str | None = None) -> None:
        """Suspend or resume; binds the next login (G11). Raises Refusal: INVALID, NOT_FOUND."""
        act, name = await self.office.acting(address, tenant)
        await self.office.tenancy.maildrops.set_status(act, name, status)

    async def set_policy(self, address: str, change: PolicyChange, tenant: str | None = None) -> None:
        """Change what the maildrop itself sets. Raises Refusal: INVALID, NOT_FOUND."""
        with plainly():
            check_policy(change.values)
        act, name = await self.office.acting(address, tenant)
        await self.office.tenancy.maildrops.set_policy(act, name, change)

    async def remove(self, address: str, tenant: str | None = None) -> int:
        """How many messages were removed with it. Raises Refusal: INVALID, NOT_FOUND."""
        act, name = await self.office.acting(address, tenant)
        return await self.office.tenancy.maildrops.remove(act, name)

    async def removed(self, address: str, limit: int = 100, tenant: str | None = None) -> Sequence[RemovedMessage]:
        """Messages that can be restored, last removed first. Raises Refusal: INVALID, NOT_FOUND."""
        act, name = await self.office.acting(address, tenant)
        return await self.office.tenancy.removed_messages.newest(act.tenant, name, self.office.restorable, limit)

    async def removed_page(self, address: str, page: Page, tenant: str | None = None) -> Sequence[RemovedMessage]:
        """The same, first removed first. Raises Refusal: INVALID, NOT_FOUND."""
        act, name = await self.office.acting(address, tenant)
        return await self.office.tenancy.removed_messages.page(act.tenant, name, self.office.restorable, page)

    async def restore(self, address: str, unique_ids: Sequence[UUID], tenant: str | None = None) -> int:
        """How many of these are listed again. Raises Refusal: INVALID, NOT_FOUND."""
        act, name = await self.office.acting(address, tenant)
        return await self.office.tenancy.removed_messages.restore(act, name, unique_ids, self.office.restorable)


@dataclass(frozen=True, slots=True)
class AliasProvisioning:
    """Other addresses of maildrops; alias and maildrop belong to one tenant."""

    office: Office

    async def create(self, alias: str, address: str, tenant: str | None = None) -> AliasView:
        """Raises Refusal: INVALID, NOT_FOUND, EXISTS."""
        act, name = await self.office.acting_on(new_alias(alias), tenant)
        return await self.office.tenancy.aliases.create(act, name, maildrop_address(address))

    async def show(self, alias: str, tenant: str | None = None) -> AliasView:
        """The alias. Raises Refusal: INVALID, NOT_FOUND."""
        act, name = await self.office.acting(alias, tenant)
        return found(await self.office.tenancy.aliases.find(act.tenant, name), f"there is no alias {name}")

    async def point(self, alias: str, address: str, tenant: str | None = None) -> None:
        """Have it lead to another maildrop. Raises Refusal: INVALID, NOT_FOUND for either name."""
        act, name = await self.office.acting(alias, tenant)
        await self.office.tenancy.aliases.point(act, name, maildrop_address(address))

    def every(self, tenant: str) -> AsyncIterator[AliasView]:
        """All aliases of the tenant by domain, then local part."""
        return pages(lambda page: self.office.tenancy.aliases.page(tenant, page), lambda view: view.alias)

    async def remove(self, alias: str, tenant: str | None = None) -> None:
        """Raises Refusal: INVALID, NOT_FOUND."""
        act, name = await self.office.acting(alias, tenant)
        await self.office.tenancy.aliases.remove(act, name)


@dataclass(frozen=True, slots=True)
class CredentialProvisioning:
    """Credentials of maildrops by label; verifiers come from `Passwords.credential`."""

    office: Office

    async def create(self, address: str, credential: NewCredential, tenant: str | None = None) -> CredentialView:
        """Raises Refusal: INVALID, NOT_FOUND (the maildrop), EXISTS (the label)."""
        act, name = await self.office.acting(address, tenant)
        return await self.office.tenancy.credentials.create(act, name, credential)

    async def every(self, address: str, tenant: str | None = None) -> Sequence[CredentialView]:
        """All credentials of the maildrop by label. Raises Refusal: INVALID, NOT_FOUND."""
        act, name = await self.office.acting(address, tenant)
        return await self.office.tenancy.credentials.of(act.tenant, name)

    async def show(self, address: str, label: str, tenant: str | None = None) -> CredentialView:
        """The credential. Raises Refusal: INVALID, NOT_FOUND."""
        named = [view for view in await self.every(address, tenant) if view.label == label]
        return found(named[0] if named else None, f"{address} has no credential labelled {label}")

    async def replace(self, address: str, credential: NewCredential, tenant: str | None = None) -> None:
        """Put a whole credential under a label; binds the next login (G11). Raises Refusal: INVALID, NOT_FOUND."""
        act, name = await self.office.acting(address, tenant)
        await self.office.tenancy.credentials.replace(act, name, credential)

    async def change(self, address: str, credential: NewCredential, tenant: str | None = None) -> None:
        """Change the secret, and the end if one is given. Raises Refusal: NOT_FOUND; INVALID, as `changing.changed`."""
        act, name = await self.office.acting(address, tenant)
        await self.office.tenancy.credentials.change(act, name, credential)

    async def set_status(self, address: str, label: str, status: Status, tenant: str | None = None) -> None:
        """Suspend or resume; binds the next login (G11). Raises Refusal: INVALID, NOT_FOUND."""
        act, name = await self.office.acting(address, tenant)
        await self.office.tenancy.credentials.set_status(act, name, label, status)

    async def remove(self, address: str, label: str, tenant: str | None = None) -> None:
        """Raises Refusal: INVALID, NOT_FOUND."""
        act, name = await self.office.acting(address, tenant)
        await self.office.tenancy.credentials.remove(act, name, label)


@dataclass(frozen=True, slots=True)
class Provisioning:
    """All of it, for one actor."""

    tenants: TenantProvisioning
    domains: DomainProvisioning
    maildrops: MaildropProvisioning
    aliases: AliasProvisioning
    credentials: CredentialProvisioning
    directories: DirectoryProvisioning
    passwords: Passwords
    issuers: IssuerProvisioning


def provisioning(office: Office, passwords: Passwords) -> Provisioning:
    """The use cases; every write is audited as the office's actor's."""
    return Provisioning(
        TenantProvisioning(office),
        DomainProvisioning(office),
        MaildropProvisioning(office),
        AliasProvisioning(office),
        CredentialProvisioning(office),
        DirectoryProvisioning(office),
        passwords,
        IssuerProvisioning(office),
    )
