"""/v1/tenants/{tenant}/aliases: other addresses of maildrops, within one tenant.

Owns the paths. Refuses an alias that stands where a maildrop does.
"""

from typing import Annotated

from fastapi import APIRouter, Query, Response

from service.admin.access import Desk, Manager, Reader
from service.admin.conditions import Beside, Conditional, entity_tag, tagged
from service.admin.paging import Listing, Windowed
from service.admin.schemas import AddressName, Alias, AliasForm, TenantName, alias_of
from service.mail.naming import found, maildrop_address
from service.model.tenancy import AliasView

router = APIRouter(prefix="/tenants/{tenant}/aliases", tags=["aliases"])


@router.get("")
async def list_aliases(
    caller: Reader, tenant: TenantName, window: Windowed, address: Annotated[str | None, Query()] = None
) -> Listing[Alias]:
    """The tenant's aliases by domain, then local part; those of one maildrop if its `address` is given."""
    target = None if address is None else maildrop_address(address).base
    async with caller.desk() as desk:
        await desk.use.tenants.show(tenant)
        page = desk.unit.tenancy.aliases.page
        keep = None if target is None else lambda view: view.address == target
        rows = await window.sift(lambda each: page(tenant, each), _name, keep)
    return window.listing(rows, _name, alias_of)


@router.get("/{alias:address}")
async def show_alias(caller: Reader, tenant: TenantName, alias: AddressName, response: Response) -> Alias:
    """One alias."""
    async with caller.desk() as desk:
        return _shown(await _there(desk, tenant, alias), response)


@router.put("/{alias:address}", responses={201: {"model": Alias}})
async def put_alias(caller: Manager, tenant: TenantName, alias: AddressName, form: AliasForm, beside: Beside) -> Alias:
    """Create the alias, or have it lead to this maildrop; mail under way finds the one or the other."""
    name, target = maildrop_address(alias), maildrop_address(form.address)
    async with caller.desk() as desk:
        await desk.unit.holds.domain(tenant, name.domain)
        view = await desk.unit.tenancy.aliases.find(tenant, name)
        beside.condition.check(None if view is None else entity_tag(alias_of(view)))
        if view is None:
            view = await desk.use.aliases.create(str(name), str(target), tenant)
            beside.response.status_code = 201
        elif view.address != target.base:
            await desk.unit.tenancy.aliases.point(desk.office.act(tenant), name, target)
        return _shown(await _there(desk, tenant, view.alias), beside.response)


@router.delete("/{alias:address}", status_code=204)
async def remove_alias(caller: Manager, tenant: TenantName, alias: AddressName, condition: Conditional) -> None:
    """Remove an alias."""
    async with caller.desk() as desk:
        await desk.unit.holds.domain(tenant, maildrop_address(alias).domain)
        condition.check(entity_tag(alias_of(await _there(desk, tenant, alias))))
        await desk.use.aliases.remove(alias, tenant)


async def _there(desk: Desk, tenant: str, alias: str) -> AliasView:
    name = maildrop_address(alias)
    return found(await desk.unit.tenancy.aliases.find(tenant, name), f"there is no alias {name}")


def _shown(view: AliasView, response: Response) -> Alias:
    resource = alias_of(view)
    tagged(response, entity_tag(resource))
    return resource


def _name(view: AliasView) -> str:
    return view.alias
