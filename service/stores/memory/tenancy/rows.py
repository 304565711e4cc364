"""How the acts of staff find, record and remove rows in memory.

Owns the way from natural names to rows. Refuses to know any act.
"""

from collections.abc import Mapping
from datetime import UTC, datetime

from service.mail.tenancy import Act
from service.model.address import Address
from service.model.refusal import Reason, Refusal
from service.model.tenancy import AuditEntry
from service.stores.memory.index import remove_rows
from service.stores.memory.state import REMOVED, DomainRow, MaildropRow, MemoryState, TenantRow


def tenant_row(state: MemoryState, name: str) -> TenantRow:
    """The tenant. Raises Refusal(NOT_FOUND)."""
    row = tenant_or_none(state, name)
    if row is None:
        raise Refusal(Reason.NOT_FOUND, f"there is no tenant {name}")
    return row


def domain_row(state: MemoryState, tenant: str, name: str) -> DomainRow:
    """The tenant's domain. Raises Refusal(NOT_FOUND)."""
    row = state.domain(name)
    if row is None or state.tenants[row.tenant_id].name != tenant:
        raise Refusal(Reason.NOT_FOUND, f"tenant {tenant} has no domain {name}")
    return row


def maildrop_row(state: MemoryState, tenant: str, address: Address) -> MaildropRow:
    """The tenant's maildrop. Raises Refusal(NOT_FOUND)."""
    domain = state.domain(address.domain)
    if domain is not None and state.tenants[domain.tenant_id].name == tenant:
        row = state.maildrop(domain, address.local)
        if row is not None:
            return row
    raise Refusal(Reason.NOT_FOUND, f"there is no maildrop {address}")


def tenant_or_none(state: MemoryState, name: str) -> TenantRow | None:
    """The tenant, or None."""
    return next((row for row in state.tenants.values() if row.name == name and row.status != REMOVED), None)


def owned(state: MemoryState, tenant: TenantRow | None, domain: str | None = None) -> list[MaildropRow]:
    """The maildrops of a tenant, or of one of its domains, by domain, then local part; none of no tenant's."""
    if tenant is None:
        return []
    rows = (m for m in state.maildrops.values() if m.key.tenant_id == tenant.tenant_id and m.status != REMOVED)
    return sorted((m for m in rows if domain in (None, m.domain)), key=lambda m: (m.domain, m.local))


def remove_maildrop(state: MemoryState, row: MaildropRow) -> int:
    """Remove the maildrop, its credentials, its aliases and its messages; how many those were."""
    messages = len(remove_rows(row, list(state.messages.get(row.key, {}).values()), None, state.now()))
    row.status = REMOVED
    state.credentials = [c for c in state.credentials if c.key != row.key]
    name = row.key.tenant_id, row.key.maildrop_id
    state.aliases = {a: target for a, target in state.aliases.items() if (a[0], target) != name}
    return messages


def record(
    state: MemoryState, tenant: TenantRow, act: Act, what: tuple[str, str], detail: Mapping[str, object] | None = None
) -> None:
    """Write the audit row: `what` is the action and its target."""
    state.audit.append((tenant.tenant_id, AuditEntry(datetime.now(UTC), act.actor, *what, dict(detail or {}))))
