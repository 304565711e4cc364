"""Live sessions: who holds which maildrop, and ending one.

Owns the paths. A session that is ended removes nothing, and notices at the renewal of its lease (G5).
"""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel

from service.admin.access import Assistant, Caller, Reader
from service.admin.paging import Listing, Window, Windowed
from service.admin.schemas import AddressName, TenantName
from service.mail.evicting import evict
from service.mail.naming import maildrop_address
from service.mail.ports import Holder

router = APIRouter(tags=["sessions"])


class Session(BaseModel):
    """A live session."""

    session_id: str
    tenant: str
    address: str
    client: str
    mechanism: str
    process: str
    since: datetime


@router.get("/sessions")
async def list_sessions(
    caller: Reader, window: Windowed, address: Annotated[str | None, Query()] = None
) -> Listing[Session]:
    """The live sessions, oldest first."""
    return await _listed(caller, window, None, address)


@router.get("/tenants/{tenant}/sessions")
async def list_tenant_sessions(
    caller: Reader, tenant: TenantName, window: Windowed, address: Annotated[str | None, Query()] = None
) -> Listing[Session]:
    """The tenant's live sessions, oldest first."""
    async with caller.desk() as desk:
        await desk.use.tenants.show(tenant)
    return await _listed(caller, window, tenant, address)


@router.delete("/tenants/{tenant}/maildrops/{address:address}/session", status_code=204)
async def end_session(caller: Assistant, tenant: TenantName, address: AddressName) -> None:
    """End the session that holds this maildrop, within the renewal of its lease.

    Where nobody holds it, a session is ended that stayed in a maildrop of this address when that was removed.
    """
    async with caller.desk() as desk:
        await evict(desk.office, caller.house.locks, address, tenant, caller.token.bound_to)


async def _listed(caller: Caller, window: Window, tenant: str | None, address: str | None) -> Listing[Session]:
    of = None if address is None else maildrop_address(address).base
    # The register of sessions knows no row-level security.
    own = caller.token.tenant if caller.token.bound_to is not None else None
    wanted = {name for name in (tenant, own) if name is not None}
    holders = [
        holder
        for holder in await caller.house.locks.holders()
        if wanted <= {holder.tenant} and of in {None, holder.address}
    ]
    return window.of(holders, _name, session_of)


def _name(holder: Holder) -> str:
    return f"{holder.since.isoformat(timespec='microseconds')} {holder.session_id}"


def session_of(holder: Holder) -> Session:
    """As clients see it."""
    h = holder
    return Session(
        session_id=h.session_id,
        tenant=h.tenant,
        address=h.address,
        client=h.client,
        mechanism=h.mechanism,
        process=h.process,
        since=h.since,
    )
