"""Ending the session that holds a maildrop.

Owns which session that is, also where the maildrop, its domain or its tenant was removed meanwhile, and that it is
audited if a session was there, and only then. Refuses to touch the session itself: it notices at the renewal of its
lease that it lost it, and ends without removing anything (G5).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from service.mail.blocks import SERVICE
from service.mail.naming import maildrop_address
from service.mail.ports import Holder
from service.mail.provisioning import MaildropProvisioning, Office, TenantProvisioning
from service.model.account import MaildropKey
from service.model.refusal import Reason, Refusal

Held = tuple[MaildropKey, Holder]


class LiveSessions(Protocol):
    """The leases of maildrops, as staff see and end them."""

    async def holders(self) -> Sequence[Holder]:
        """The live sessions."""

    async def holder(self, key: MaildropKey) -> Holder | None:
        """Who holds this maildrop."""

    async def held_as(self, address: str) -> Sequence[Held]:
        """Who holds maildrops that have this address, or had it and were removed, oldest first. Walks all sessions."""

    async def evict(self, key: MaildropKey) -> bool:
        """Make the holder lose its lease within one renewal; False if nobody held it."""


@dataclass(frozen=True, slots=True)
class _Session:
    key: MaildropKey
    holder: Holder | None
    """None where the maildrop isn't held, as far as is known."""
    tenant: str
    """In whose audit its end stands."""


async def evict(
    office: Office, sessions: LiveSessions, address: str, tenant: str | None = None, within: UUID | None = None
) -> None:
    """End it; where nobody holds that maildrop, those that hold removed ones that had its address.

    Sessions in removed maildrops are there only as far as they are `tenant`'s, and of the tenant with the id `within`.
    Raises Refusal: INVALID, NOT_FOUND also when nobody holds the maildrop; then undo the audit's row.
    """
    name = maildrop_address(address).base
    try:
        living = await _living(office, sessions, name, tenant)
    except Refusal as refusal:
        if refusal.reason is not Reason.NOT_FOUND or not (left := await _left(office, sessions, name, tenant, within)):
            raise
        await _end(office, sessions, name, left)
        return
    left = [] if living.holder is not None else await _left(office, sessions, name, tenant, within)
    await _end(office, sessions, name, left or [living])


async def _living(office: Office, sessions: LiveSessions, address: str, tenant: str | None) -> _Session:
    view = await MaildropProvisioning(office).show(address, tenant)
    owner = await TenantProvisioning(office).show(view.tenant)
    key = MaildropKey(owner.tenant_id, view.maildrop_id)
    return _Session(key, await sessions.holder(key), view.tenant)


async def _left(
    office: Office, sessions: LiveSessions, address: str, tenant: str | None, within: UUID | None
) -> Sequence[_Session]:
    # The register of sessions knows no row-level security.
    reached = [
        (key, holder)
        for key, holder in await sessions.held_as(address)
        if tenant in (None, holder.tenant) and within in (None, key.tenant_id)
    ]
    return [_Session(key, holder, await _audited_in(office, key, holder)) for key, holder in reached]


async def _audited_in(office: Office, key: MaildropKey, holder: Holder) -> str:
    """The tenant, also a removed one; the service where its rows are gone, or another has its name by now."""
    view = await office.tenancy.tenants.find(holder.tenant)
    if view is not None:
        return holder.tenant if view.tenant_id == key.tenant_id else SERVICE
    try:
        await office.tenancy.audit.newest(holder.tenant, 1)
    except Refusal as refusal:
        if refusal.reason is not Reason.NOT_FOUND:
            raise
        return SERVICE
    return holder.tenant


async def _end(office: Office, sessions: LiveSessions, address: str, held: Sequence[_Session]) -> None:
    ended = 0
    for each in held:
        details = {"session": each.holder.session_id, "client": each.holder.client} if each.holder else {}
        await office.tenancy.audit.note(office.act(each.tenant), ("session.end", address), details)
        ended += await sessions.evict(each.key)
    if not ended:
        raise Refusal(Reason.NOT_FOUND, f"nobody holds {address}")
