"""/v1/tenants: the customers of this service.

Owns the paths. A delegated admin sees one tenant here and changes none: status, policy and domains are the provider's.
"""

from typing import Annotated

from fastapi import APIRouter, Query, Response

from service.admin.access import Desk, Provider, Reader
from service.admin.conditions import Conditional, entity_tag, tagged
from service.admin.paging import Listing, Windowed
from service.admin.schemas import (
    Holdings,
    StandingChange,
    StandingForm,
    StatusName,
    Tenant,
    TenantName,
    holdings_of,
    status_is,
    tenant_of,
    wholly,
)
from service.model.account import Status
from service.model.refusal import Reason, Refusal
from service.model.tenancy import PolicyChange, TenantView

router = APIRouter(prefix="/tenants", tags=["tenants"])


@router.get("")
async def list_tenants(
    caller: Reader, window: Windowed, status: Annotated[StatusName | None, Query()] = None
) -> Listing[Tenant]:
    """The tenants by name."""
    async with caller.desk() as desk:
        found = await window.sift(desk.unit.tenancy.tenants.page, _name, status_is(status))
    return window.listing(found, _name, tenant_of)


@router.get("/{tenant}")
async def show_tenant(caller: Reader, tenant: TenantName, response: Response) -> Tenant:
    """One tenant."""
    async with caller.desk() as desk:
        return _shown(await desk.use.tenants.show(tenant), response)


@router.get("/{tenant}/usage")
async def show_tenant_usage(caller: Reader, tenant: TenantName) -> Holdings:
    """What a tenant holds; removed messages aren't counted."""
    async with caller.desk() as desk:
        return holdings_of(await desk.use.tenants.usage(tenant))


@router.put("/{tenant}", responses={201: {"model": Tenant}})
async def put_tenant(
    caller: Provider, tenant: TenantName, form: StandingForm, condition: Conditional, response: Response
) -> Tenant:
    """Create the tenant, or make it be as the form says."""
    async with caller.desk() as desk:
        before = await _created_or_held(desk, tenant, condition, response)
        change = wholly(form.policy.overrides, before.policy)
        return _shown(await _changed(desk, before, Status(form.status), change), response)


@router.patch("/{tenant}")
async def change_tenant(
    caller: Provider, tenant: TenantName, form: StandingChange, condition: Conditional, response: Response
) -> Tenant:
    """Change a tenant; binds the next login and delivery of all its maildrops."""
    async with caller.desk() as desk:
        before = await _held(desk, tenant, condition)
        status = Status(form.status or before.status)
        return _shown(await _changed(desk, before, status, form.policy_change), response)


@router.delete("/{tenant}", status_code=204)
async def remove_tenant(
    caller: Provider,
    tenant: TenantName,
    condition: Conditional,
    cascade: Annotated[bool, Query(description="Remove all that it holds too.")] = False,
) -> None:
    """Remove a tenant; one that still has maildrops only with `cascade`."""
    async with caller.desk() as desk:
        await _held(desk, tenant, condition)
        await desk.use.tenants.remove(tenant, cascade)


async def _held(desk: Desk, tenant: str, condition: Conditional) -> TenantView:
    await desk.unit.holds.tenant(tenant)
    view = await desk.use.tenants.show(tenant)
    condition.check(entity_tag(tenant_of(view)))
    return view


async def _created_or_held(desk: Desk, tenant: str, condition: Conditional, response: Response) -> TenantView:
    if await desk.unit.tenancy.tenants.find(tenant) is None:
        condition.check(None)
        try:
            view = await desk.use.tenants.create(tenant)
        except Refusal as refusal:
            # Somebody else created it this moment.
            if refusal.reason is not Reason.EXISTS:
                raise
        else:
            response.status_code = 201
            return view
    return await _held(desk, tenant, condition)


async def _changed(desk: Desk, before: TenantView, status: Status, change: PolicyChange) -> TenantView:
    """Apply what differs, so that a repeated request leaves no trace in the audit."""
    if status is not before.status:
        await desk.use.tenants.set_status(before.name, status)
    if dict(change.applied_to(before.policy)) != dict(before.policy):
        await desk.use.tenants.set_policy(before.name, change)
    return await desk.use.tenants.show(before.name)


def _shown(view: TenantView, response: Response) -> Tenant:
    resource = tenant_of(view)
    tagged(response, entity_tag(resource))
    return resource


def _name(view: TenantView) -> str:
    return view.name
