"""/v1/tenants/{tenant}/directory: which outside directory keeps a tenant's users.

Owns the path. A delegated admin may see it; the provider alone chooses, since it says who may log in at all.
"""

from typing import Annotated

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field

from service.admin.access import Provider, Reader
from service.admin.conditions import Beside, entity_tag, tagged
from service.admin.policies import Form
from service.admin.schemas import TenantName
from service.mail.outside.choosing import DirectoryView

router = APIRouter(prefix="/tenants/{tenant}/directory", tags=["tenants"])

Name = Annotated[str, Field(pattern="^[a-z0-9][a-z0-9-]{0,31}$")]
MEANING = "Its name in the settings; own for Poplar's own credentials, null for the service's default."


class DirectoryForm(Form):
    """The choice as it is to be."""

    directory: Name | None = Field(description=MEANING)


class DirectoryChoice(BaseModel):
    """A tenant's choice."""

    directory: str | None


@router.get("")
async def show_tenant_directory(caller: Reader, tenant: TenantName, response: Response) -> DirectoryChoice:
    """Which outside directory the tenant's users are kept in."""
    async with caller.desk() as desk:
        return _shown(await desk.use.directories.show(tenant), response)


@router.put("")
async def choose_tenant_directory(
    caller: Provider, tenant: TenantName, form: DirectoryForm, beside: Beside
) -> DirectoryChoice:
    """Choose it; binds the next login and delivery of all the tenant's maildrops."""
    async with caller.desk() as desk:
        await desk.unit.holds.tenant(tenant)
        beside.condition.check(entity_tag(_seen(await desk.use.directories.show(tenant))))
        return _shown(await desk.use.directories.choose(tenant, form.directory), beside.response)


def _seen(view: DirectoryView) -> DirectoryChoice:
    return DirectoryChoice(directory=view.directory)


def _shown(view: DirectoryView, response: Response) -> DirectoryChoice:
    resource = _seen(view)
    tagged(response, entity_tag(resource))
    return resource
