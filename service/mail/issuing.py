"""How the issuers that a tenant trusts come to be, change and go.

Owns the port `TenantIssuers`, the check of an issuer before a store sees it, and what the audit is told of one. Refuses
to show a client's secret. Who may do this is the caller's business: an issuer opens every maildrop of its tenant.
RFC 8414 §2 (an issuer's identifier).
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Protocol, TypeAlias

from service.model.account import Status
from service.model.issuer import IssuerView, NewIssuer, check_issuer
from service.model.refusal import Reason, Refusal

if TYPE_CHECKING:
    from service.mail.provisioning import Office
    from service.mail.tenancy import Act


Wanted: TypeAlias = Callable[[IssuerView], NewIssuer]
"""What an issuer is to be, by what it is. May raise Refusal."""


class TenantIssuers(Protocol):
    """The issuers of tenants, each by the name that staff gave it."""

    async def of(self, tenant: str) -> Sequence[IssuerView]:
        """All of the tenant's by name. Raises Refusal(NOT_FOUND)."""

    async def create(self, act: "Act", issuer: NewIssuer) -> None:
        """Trust it from the next login on. Raises Refusal: NOT_FOUND (no such tenant), EXISTS (the name)."""

    async def replace(self, act: "Act", issuer: NewIssuer) -> None:
        """Put other terms under its name; they bind the next login (G11). Raises Refusal(NOT_FOUND).

        What is so already is neither written nor audited.
        """

    async def change(self, act: "Act", name: str, wanted: Wanted) -> None:
        """As `replace`, while nobody else changes what `wanted` goes by. Raises Refusal(NOT_FOUND)."""

    async def remove(self, act: "Act", name: str) -> None:
        """Trust it no longer, from the next login on (G11). Raises Refusal(NOT_FOUND)."""


@dataclass(frozen=True, slots=True)
class IssuerProvisioning:
    """The life of issuers, by tenant and name."""

    office: "Office"

    async def every(self, tenant: str) -> Sequence[IssuerView]:
        """All of the tenant's by name. Raises Refusal(NOT_FOUND)."""
        return await self.office.tenancy.issuers.of(tenant)

    async def show(self, tenant: str, name: str) -> IssuerView:
        """The issuer. Raises Refusal(NOT_FOUND)."""
        for view in await self.every(tenant):
            if view.name == name:
                return view
        raise Refusal(Reason.NOT_FOUND, f"tenant {tenant} has no issuer {name}")

    async def create(self, tenant: str, issuer: NewIssuer) -> IssuerView:
        """Raises Refusal: INVALID, NOT_FOUND, EXISTS."""
        _check(issuer)
        await self.office.tenancy.issuers.create(self.office.act(tenant), issuer)
        return await self.show(tenant, issuer.name)

    async def replace(self, tenant: str, issuer: NewIssuer) -> IssuerView:
        """Raises Refusal: INVALID, NOT_FOUND."""
        _check(issuer)
        await self.office.tenancy.issuers.replace(self.office.act(tenant), issuer)
        return await self.show(tenant, issuer.name)

    async def change(self, tenant: str, name: str, wanted: Wanted) -> IssuerView:
        """Change it in part; no change that others make meanwhile is lost. Raises Refusal: INVALID, NOT_FOUND."""

        def checked(view: IssuerView) -> NewIssuer:
            issuer = wanted(view)
            _check(issuer)
            return issuer

        await self.office.tenancy.issuers.change(self.office.act(tenant), name, checked)
        return await self.show(tenant, name)

    async def set_status(self, tenant: str, name: str, status: Status) -> None:
        """Suspend or resume. Raises Refusal(NOT_FOUND)."""
        await self.change(tenant, name, lambda view: replace(unchanged(view), status=status))

    async def remove(self, tenant: str, name: str) -> None:
        """Raises Refusal(NOT_FOUND)."""
        await self.office.tenancy.issuers.remove(self.office.act(tenant), name)


def _check(issuer: NewIssuer) -> None:
    try:
        check_issuer(issuer)
    except ValueError as error:
        raise Refusal(Reason.INVALID, str(error)) from error


def unchanged(view: IssuerView) -> NewIssuer:
    """The issuer as it is, its secret too, to be changed in part."""
    return NewIssuer(view.name, view.terms, view.status, None)


def without_secret(issuer: NewIssuer, secret_changed: bool) -> dict[str, object]:
    """What the audit keeps of an issuer: all but the secret, of which it tells whether it was changed."""
    terms = asdict(issuer.terms) | {"method": issuer.terms.method.value}
    return {"terms": terms, "status": issuer.status.value, "secret_changed": secret_changed}
