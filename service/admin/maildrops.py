"""/v1/tenants/{tenant}/maildrops: by address, each with its own policy and the one that binds it.

Owns the paths. A delegated admin can tighten what the tenant's policy says, and not loosen it (`mail/delegation.py`).
"""

from collections.abc import Callable
from typing import Annotated

from fastapi import APIRouter, Query, Response

from service.admin.access import Caller, Desk, Manager, Reader
from service.admin.conditions import Beside, Conditional, entity_tag, tagged
from service.admin.paging import Listing, Windowed
from service.admin.schemas import (
    AddressName,
    Contents,
    Maildrop,
    StandingChange,
    StandingForm,
    StatusName,
    TenantName,
    contents_of,
    maildrop_of,
    status_is,
    wholly,
)
from service.mail.delegation import check_tighter
from service.mail.naming import domain_name, maildrop_address
from service.model.account import Status
from service.model.tenancy import MaildropView, PolicyChange

router = APIRouter(prefix="/tenants/{tenant}/maildrops", tags=["maildrops"])


@router.get("")
async def list_maildrops(
    caller: Reader,
    tenant: TenantName,
    window: Windowed,
    status: Annotated[StatusName | None, Query()] = None,
    domain: Annotated[str | None, Query()] = None,
) -> Listing[Maildrop]:
    """The tenant's maildrops by domain, then local part."""
    keep = _those(status, None if domain is None else domain_name(domain))
    async with caller.desk() as desk:
        await desk.use.tenants.show(tenant)
        page = desk.unit.tenancy.maildrops.page
        rows = await window.sift(lambda each: page(tenant, each), _name, keep)
    return window.listing(rows, _name, maildrop_of)


def _those(status: str | None, domain: str | None) -> Callable[[MaildropView], bool] | None:
    standing = status_is(status)
    if domain is None:
        return standing
    return lambda view: view.address.endswith(f"@{domain}") and (standing is None or standing(view))


@router.get("/{address:address}/usage")
async def show_maildrop_usage(caller: Reader, tenant: TenantName, address: AddressName) -> Contents:
    """What a maildrop holds; removed messages aren't counted."""
    async with caller.desk() as desk:
        return contents_of(await desk.use.maildrops.show(address, tenant))


@router.get("/{address:address}")
async def show_maildrop(caller: Reader, tenant: TenantName, address: AddressName, response: Response) -> Maildrop:
    """One maildrop."""
    async with caller.desk() as desk:
        return _shown(await desk.use.maildrops.show(address, tenant), response)


@router.put("/{address:address}", responses={201: {"model": Maildrop}})
async def put_maildrop(
    caller: Manager, tenant: TenantName, address: AddressName, form: StandingForm, beside: Beside
) -> Maildrop:
    """Create the maildrop, or make it be as the form says."""
    name = maildrop_address(address)
    async with caller.desk() as desk:
        await desk.unit.holds.domain(tenant, name.domain)
        view = await desk.unit.tenancy.maildrops.find(tenant, name)
        if view is None:
            beside.condition.check(None)
            view = await desk.use.maildrops.create(address, {}, tenant)
            beside.response.status_code = 201
        else:
            view = await _held(desk, tenant, address, beside.condition)
        change = wholly(form.policy.overrides, view.policy)
        return _shown(await _changed(caller, desk, view, Status(form.status), change), beside.response)


@router.patch("/{address:address}")
async def change_maildrop(
    caller: Manager, tenant: TenantName, address: AddressName, form: StandingChange, beside: Beside
) -> Maildrop:
    """Change a maildrop; binds the next login and delivery."""
    async with caller.desk() as desk:
        before = await _held(desk, tenant, address, beside.condition)
        status = Status(form.status or before.status)
        return _shown(await _changed(caller, desk, before, status, form.policy_change), beside.response)


@router.delete("/{address:address}", status_code=204)
async def remove_maildrop(caller: Manager, tenant: TenantName, address: AddressName, condition: Conditional) -> None:
    """Remove a maildrop with its messages; one created anew under its address has nothing of it."""
    async with caller.desk() as desk:
        await _held(desk, tenant, address, condition)
        await desk.use.maildrops.remove(address, tenant)


async def _held(desk: Desk, tenant: str, address: str, condition: Conditional) -> MaildropView:
    await desk.unit.holds.maildrop(tenant, maildrop_address(address))
    view = await desk.use.maildrops.show(address, tenant)
    condition.check(entity_tag(maildrop_of(view)))
    return view


async def _changed(
    caller: Caller, desk: Desk, before: MaildropView, status: Status, change: PolicyChange
) -> MaildropView:
    """Apply what differs, so that a repeated request leaves no trace in the audit."""
    if caller.token.bound_to is not None:
        check_tighter(before.inherited, before.policy, change)
    if status is not before.status:
        await desk.use.maildrops.set_status(before.address, status, before.tenant)
    if dict(change.applied_to(before.policy)) != dict(before.policy):
        await desk.use.maildrops.set_policy(before.address, change, before.tenant)
    return await desk.use.maildrops.show(before.address, before.tenant)


def _shown(view: MaildropView, response: Response) -> Maildrop:
    resource = maildrop_of(view)
    tagged(response, entity_tag(resource))
    return resource


def _name(view: MaildropView) -> str:
    return view.address
