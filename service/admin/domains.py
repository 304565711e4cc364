"""/v1/tenants/{tenant}/domains: each domain belongs to one tenant of the whole service.

Owns the paths. A delegated admin can't add a domain: the answer would tell whether another tenant has it (G10).
"""

from typing import Annotated

from fastapi import APIRouter, Query, Response

from service.admin.access import Desk, Manager, Provider, Reader
from service.admin.conditions import Beside, Conditional, entity_tag, tagged
from service.admin.paging import Listing, Windowed
from service.admin.schemas import (
    Domain,
    DomainChange,
    DomainForm,
    DomainName,
    StatusName,
    TenantName,
    domain_of,
    status_is,
)
from service.mail.naming import domain_name, maildrop_address
from service.model.account import Status
from service.model.tenancy import DomainView

router = APIRouter(prefix="/tenants/{tenant}/domains", tags=["domains"])


@router.get("")
async def list_domains(
    caller: Reader, tenant: TenantName, window: Windowed, status: Annotated[StatusName | None, Query()] = None
) -> Listing[Domain]:
    """The tenant's domains by name."""
    async with caller.desk() as desk:
        await desk.use.tenants.show(tenant)
        page = desk.unit.tenancy.domains.page
        found = await window.sift(lambda each: page(tenant, each), _name, status_is(status))
    return window.listing(found, _name, domain_of)


@router.get("/{domain}")
async def show_domain(caller: Reader, tenant: TenantName, domain: DomainName, response: Response) -> Domain:
    """One domain."""
    async with caller.desk() as desk:
        return _shown(await desk.use.domains.show(domain, tenant), response)


@router.put("/{domain}", responses={201: {"model": Domain}})
async def put_domain(
    caller: Provider, tenant: TenantName, domain: DomainName, form: DomainForm, beside: Beside
) -> Domain:
    """Give the domain to the tenant, or make it be as the form says."""
    name = domain_name(domain)
    async with caller.desk() as desk:
        await desk.unit.holds.tenant(tenant)
        view = await desk.unit.tenancy.domains.find(name)
        if view is None or view.tenant != tenant:
            beside.condition.check(None)
            view = await desk.use.domains.create(tenant, name)
            beside.response.status_code = 201
        else:
            beside.condition.check(entity_tag(domain_of(view)))
        return _shown(await _changed(desk, view, Status(form.status), form.catch_all), beside.response)


@router.patch("/{domain}")
async def change_domain(
    caller: Manager, tenant: TenantName, domain: DomainName, form: DomainChange, beside: Beside
) -> Domain:
    """Change a domain; binds the next login and delivery of its maildrops."""
    async with caller.desk() as desk:
        before = await _held(desk, tenant, domain, beside.condition)
        status = Status(form.status or before.status)
        catch_all = form.catch_all if "catch_all" in form.model_fields_set else before.catch_all
        return _shown(await _changed(desk, before, status, catch_all), beside.response)


@router.delete("/{domain}", status_code=204)
async def remove_domain(
    caller: Provider,
    tenant: TenantName,
    domain: DomainName,
    condition: Conditional,
    cascade: Annotated[bool, Query(description="Remove its maildrops and aliases too.")] = False,
) -> None:
    """Remove a domain; one that still has maildrops or aliases only with `cascade`."""
    async with caller.desk() as desk:
        view = await _held(desk, tenant, domain, condition)
        await desk.use.domains.remove(view.name, cascade, tenant)


async def _held(desk: Desk, tenant: str, domain: str, condition: Conditional) -> DomainView:
    await desk.unit.holds.domain(tenant, domain_name(domain))
    view = await desk.use.domains.show(domain, tenant)
    condition.check(entity_tag(domain_of(view)))
    return view


async def _changed(desk: Desk, before: DomainView, status: Status, catch_all: str | None) -> DomainView:
    if status is not before.status:
        await desk.use.domains.set_status(before.name, status, before.tenant)
    wanted = None if catch_all is None else maildrop_address(catch_all).base
    if wanted != before.catch_all:
        await desk.use.domains.set_catch_all(before.name, wanted, before.tenant)
    return await desk.use.domains.show(before.name, before.tenant)


def _shown(view: DomainView, response: Response) -> Domain:
    resource = domain_of(view)
    tagged(response, entity_tag(resource))
    return resource


def _name(view: DomainView) -> str:
    return view.name
