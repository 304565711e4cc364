"""Ending the session that holds a maildrop.

Owns that it is audited if a session was there, and only then. Refuses to touch the session itself: it notices at the
renewal of its lease that it lost it, and ends without removing anything (G5).
"""

from service.mail.ports import MaildropLocks
from service.mail.provisioning import MaildropProvisioning, Office, TenantProvisioning
from service.model.account import MaildropKey
from service.model.refusal import Reason, Refusal


async def evict(office: Office, locks: MaildropLocks, address: str, tenant: str | None = None) -> None:
    """End it. Raises Refusal: INVALID, NOT_FOUND also when nobody holds the maildrop; then undo the audit's row."""
    view = await MaildropProvisioning(office).show(address, tenant)
    owner = await TenantProvisioning(office).show(view.tenant)
    await office.tenancy.audit.note(office.act(view.tenant), ("session.end", view.address))
    if not await locks.evict(MaildropKey(owner.tenant_id, view.maildrop_id)):
        raise Refusal(Reason.NOT_FOUND, f"nobody holds {view.address}")
