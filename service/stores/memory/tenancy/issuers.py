"""The in-memory twin of the issuers' rows.

Owns the same answers as `stores.postgres.tenancy.issuers`, over `MemoryState`. Refuses to show a client's secret to
staff.
RFC 7628 §3.2 (a login).
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from uuid import uuid4

from service.mail.bearer import Trusted
from service.mail.issuing import Wanted, without_secret
from service.mail.tenancy import Act
from service.model.account import Status
from service.model.issuer import Issuer, IssuerView, NewIssuer
from service.model.refusal import Reason, Refusal
from service.stores.memory.state import ACTIVE, IssuerRow, MemoryState
from service.stores.memory.tenancy.rows import record, tenant_row


class MemoryIssuers:
    """Implements `mail.bearer.Issuers` and `mail.issuing.TenantIssuers`."""

    def __init__(self, state: MemoryState) -> None:
        self._state = state

    async def trusted(self, domain: str) -> Trusted:
        """The active issuers of the domain's tenant, and the time."""
        row = self._state.domain(domain)
        named = sorted(self._state.issuers.items(), key=lambda item: item[0]) if row else []
        issuers = [
            Issuer(tenant_id, each.issuer_id, name, each.issuer.terms, each.issuer.client_secret or "")
            for (tenant_id, name), each in named
            if row is not None and tenant_id == row.tenant_id and each.issuer.status is Status.ACTIVE
        ]
        return Trusted(datetime.now(UTC), issuers)

    async def any(self) -> bool:
        """Whether any active tenant trusts an issuer."""
        active = {row.tenant_id for row in self._state.tenants.values() if row.status == ACTIVE}
        rows = self._state.issuers.items()
        return any(key[0] in active and each.issuer.status is Status.ACTIVE for key, each in rows)

    async def of(self, tenant: str) -> Sequence[IssuerView]:
        """The tenant's issuers by name. Raises Refusal(NOT_FOUND)."""
        row = tenant_row(self._state, tenant)
        return [
            IssuerView(name, tenant, each.issuer.status, each.created, each.issuer.terms, each.secret_set)
            for (tenant_id, name), each in sorted(self._state.issuers.items(), key=lambda item: item[0])
            if tenant_id == row.tenant_id
        ]

    async def create(self, act: Act, issuer: NewIssuer) -> None:
        """Raises Refusal: NOT_FOUND, EXISTS."""
        tenant = tenant_row(self._state, act.tenant)
        if (tenant.tenant_id, issuer.name) in self._state.issuers:
            raise Refusal(Reason.EXISTS, f"tenant {act.tenant} has an issuer {issuer.name} already")
        secret_set = datetime.now(UTC) if issuer.client_secret else None
        self._state.issuers[tenant.tenant_id, issuer.name] = IssuerRow(uuid4(), issuer, secret_set)
        record(self._state, tenant, act, ("issuer.create", issuer.name), without_secret(issuer, bool(secret_set)))

    async def replace(self, act: Act, issuer: NewIssuer) -> None:
        """Raises Refusal(NOT_FOUND)."""
        row = self._row(act, issuer.name)
        secret = row.issuer.client_secret if issuer.client_secret is None else issuer.client_secret
        wanted = replace(issuer, client_secret=secret)
        if wanted == row.issuer:
            return
        if other := secret != row.issuer.client_secret:
            row.secret_set = datetime.now(UTC) if secret else None
        row.issuer = wanted
        tenant = tenant_row(self._state, act.tenant)
        record(self._state, tenant, act, ("issuer.replace", issuer.name), without_secret(issuer, other))

    async def change(self, act: Act, name: str, wanted: Wanted) -> None:
        """Raises Refusal(NOT_FOUND)."""
        self._row(act, name)
        view = next(view for view in await self.of(act.tenant) if view.name == name)
        await self.replace(act, wanted(view))

    async def remove(self, act: Act, name: str) -> None:
        """Raises Refusal(NOT_FOUND)."""
        self._row(act, name)
        tenant = tenant_row(self._state, act.tenant)
        del self._state.issuers[tenant.tenant_id, name]
        record(self._state, tenant, act, ("issuer.remove", name), {})

    def _row(self, act: Act, name: str) -> IssuerRow:
        row = self._state.issuers.get((tenant_row(self._state, act.tenant).tenant_id, name))
        if row is None:
            raise Refusal(Reason.NOT_FOUND, f"tenant {act.tenant} has no issuer {name}")
        return row
