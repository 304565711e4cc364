"""Removed messages of a maildrop, as long as they can be restored.

Owns the paths. Refuses to show any text of a message.
"""

from dataclasses import asdict
from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter
from pydantic import BaseModel, Field

from service.admin.access import Assistant, Reader
from service.admin.paging import Listing, Windowed
from service.admin.policies import Form
from service.admin.schemas import AddressName, TenantName
from service.model.tenancy import RemovedMessage

router = APIRouter(prefix="/tenants/{tenant}/maildrops/{address:address}/removed-messages", tags=["removed messages"])


class Removed(BaseModel):
    """A removed message that can still be restored."""

    unique_id: UUID
    octets: int
    received: datetime
    removed_at: datetime
    restorable_until: datetime


class Restoring(Form):
    """Which messages to restore."""

    unique_ids: Annotated[list[UUID], Field(min_length=1, max_length=1000)]


class Restored(BaseModel):
    """How many messages are listed again; those that were restored before aren't counted."""

    messages: int


@router.get("")
async def list_removed_messages(
    caller: Reader, tenant: TenantName, address: AddressName, window: Windowed
) -> Listing[Removed]:
    """The maildrop's removed messages, first removed first."""
    async with caller.desk() as desk:
        found = await window.sift(lambda page: desk.use.maildrops.removed_page(address, page, tenant), _name)
    return window.listing(found, _name, _resource)


@router.post("/restore")
async def restore_messages(caller: Assistant, tenant: TenantName, address: AddressName, form: Restoring) -> Restored:
    """List these messages again, under new numbers and new unique-ids."""
    async with caller.desk() as desk:
        return Restored(messages=await desk.use.maildrops.restore(address, form.unique_ids, tenant))


def _resource(message: RemovedMessage) -> Removed:
    return Removed.model_validate(asdict(message))


def _name(message: RemovedMessage) -> str:
    return message.name
