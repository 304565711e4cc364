"""The audit: who did what to which named thing, and when.

Owns the paths and filters. Refuses to change it; it outlives what it tells of, so a removed tenant's can be read.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from pydantic import AwareDatetime, BaseModel

from service.admin.access import Caller, Overseer, Reader
from service.admin.paging import Listing, Windowed
from service.admin.schemas import TenantName
from service.mail.tenancy import AuditQuery
from service.model.refusal import Reason, Refusal
from service.model.tenancy import AuditEntry

LARGEST_ID = 2**63 - 1
router = APIRouter(tags=["audit"])
Wanted = Annotated[str | None, Query(max_length=320)]
Moment = Annotated[AwareDatetime | None, Query()]


class Entry(BaseModel):
    """One act."""

    entry_id: int
    moment: datetime
    actor: str
    action: str
    subject: str
    details: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Filters:
    """Which entries are wanted."""

    actor: Wanted = None
    action: Wanted = None
    subject: Wanted = None
    since: Moment = None
    until: Moment = None


Filtered = Annotated[Filters, Depends()]


@router.get("/audit")
async def list_service_audit(caller: Overseer, window: Windowed, filters: Filtered) -> Listing[Entry]:
    """What was done to the service itself, newest first: tokens."""
    return await _listed(caller, None, window, filters)


@router.get("/tenants/{tenant}/audit")
async def list_tenant_audit(caller: Reader, tenant: TenantName, window: Windowed, filters: Filtered) -> Listing[Entry]:
    """What was done to a tenant and in it, newest first."""
    return await _listed(caller, tenant, window, filters)


async def _listed(caller: Caller, tenant: str | None, window: Windowed, filters: Filters) -> Listing[Entry]:
    f = filters
    before = _entry_id(window.after) if window.after else None
    query = AuditQuery(before, window.limit + 1, f.actor, f.action, f.subject, f.since, f.until)
    async with caller.desk() as desk:
        found = await desk.unit.tenancy.audit.page(tenant, query)
    return window.listing(found, lambda entry: str(entry.entry_id), _resource)


def _entry_id(after: str) -> int:
    if not (after.isascii() and after.isdecimal() and len(after) < 20 and int(after) <= LARGEST_ID):
        raise Refusal(Reason.INVALID, "after is not a cursor of this list")
    return int(after)


def _resource(entry: AuditEntry) -> Entry:
    e = entry
    return Entry(
        entry_id=e.entry_id,
        moment=e.moment,
        actor=e.actor,
        action=e.action,
        subject=e.subject,
        details=dict(e.details),
    )
