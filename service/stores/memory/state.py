"""The rows that the in-memory directory and index share, table for table as in Postgres.

Owns the shapes and the look-ups by name. Refuses to know what may be done with a row, and to hold
more than plain values: a test may read and write every field.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID

from service.model.account import MaildropKey
from service.model.issuer import NewIssuer
from service.model.message import NewMessage
from service.model.policy import Policy, PolicyValue
from service.model.policy_table import policy_of
from service.model.tenancy import AuditEntry

Overrides = dict[str, PolicyValue]
ACTIVE, SUSPENDED, REMOVED = "active", "suspended", "removed"


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(slots=True)
class TenantRow:
    """A tenant; `policy` holds the values of `model.policy_table` as far as they are set."""

    tenant_id: UUID
    name: str
    status: str = ACTIVE
    policy: Overrides = field(default_factory=dict)
    created: datetime = field(default_factory=_now)
    directory: str | None = None


@dataclass(slots=True)
class DomainRow:
    """A domain in lower-case A-labels."""

    tenant_id: UUID
    name: str
    status: str = ACTIVE
    created: datetime = field(default_factory=_now)


@dataclass(slots=True)
class MaildropRow:
    """A maildrop and its counters; `policy` overrides the tenant's key by key."""

    key: MaildropKey
    domain: str
    local: str
    status: str = ACTIVE
    policy: Overrides = field(default_factory=dict)
    messages: int = 0
    octets: int = 0
    next_sequence: int = 1
    removals: int = 0
    created: datetime = field(default_factory=_now)

    @property
    def address(self) -> str:
        """Its address, normalised."""
        return f"{self.local}@{self.domain}"


@dataclass(slots=True)
class CredentialRow:
    """A credential of a maildrop."""

    key: MaildropKey
    credential_id: UUID
    verifier: str
    kind: str = "password"
    label: str = ""
    status: str = ACTIVE
    expires: datetime | None = None
    created: datetime = field(default_factory=_now)
    last_used: datetime | None = None
    scram: str | None = None
    policy: Overrides = field(default_factory=dict)


@dataclass(slots=True)
class IssuerRow:
    """An issuer that a tenant trusts."""

    issuer_id: UUID
    issuer: NewIssuer
    secret_set: datetime | None = None
    created: datetime = field(default_factory=_now)


@dataclass(slots=True)
class MessageRow:
    """A message in a maildrop; removed by the `removed_in`-th removal, or listed."""

    key: MaildropKey
    sequence: int
    message: NewMessage
    removed_at: datetime | None = None
    removed_in: int | None = None
    removed_by: bytes | None = None
    retrieved_at: datetime | None = None
    kept_until: datetime | None = None


@dataclass(slots=True)
class MemoryState:
    """Every row of one in-memory service."""

    tenants: dict[UUID, TenantRow] = field(default_factory=dict)
    domains: list[DomainRow] = field(default_factory=list)
    maildrops: dict[MaildropKey, MaildropRow] = field(default_factory=dict)
    aliases: dict[tuple[UUID, str, str], UUID] = field(default_factory=dict)
    """(tenant, domain, local) -> maildrop; the empty local part is the domain's catch-all."""
    credentials: list[CredentialRow] = field(default_factory=list)
    issuers: dict[tuple[UUID, str], IssuerRow] = field(default_factory=dict)
    """(tenant, name) -> the issuer."""
    messages: dict[MaildropKey, dict[int, MessageRow]] = field(default_factory=dict)
    fences: dict[MaildropKey, bytes] = field(default_factory=dict)
    audit: list[tuple[UUID, AuditEntry]] = field(default_factory=list)
    """(tenant, what staff did), oldest first."""
    now: Callable[[], datetime] = _now
    """The database's own clock, in UTC."""

    def domain(self, name: str) -> DomainRow | None:
        """The domain of this name that isn't removed; at most one over all tenants."""
        return next((d for d in self.domains if d.name == name and d.status != REMOVED), None)

    def maildrop(self, domain: DomainRow, local: str) -> MaildropRow | None:
        """The maildrop of this address that isn't removed."""
        named = (m for m in self.maildrops.values() if (m.key.tenant_id, m.domain, m.local) == _address(domain, local))
        return next((m for m in named if m.status != REMOVED), None)

    def aliased(self, domain: DomainRow, local: str) -> MaildropRow | None:
        """The maildrop that an alias leads to, if it isn't removed."""
        target = self.aliases.get(_address(domain, local))
        found = self.maildrops.get(MaildropKey(domain.tenant_id, target)) if target else None
        return found if found and found.status != REMOVED else None

    def active(self, maildrop: MaildropRow) -> bool:
        """Whether the maildrop, its domain and its tenant all are."""
        return self._statuses(maildrop) == {ACTIVE}

    def suspended(self, maildrop: MaildropRow) -> bool:
        """Whether any of them is."""
        return SUSPENDED in self._statuses(maildrop)

    def policy(self, maildrop: MaildropRow) -> Policy:
        """The policy in force: the tenant's, overridden key by key."""
        return policy_of(self.tenants[maildrop.key.tenant_id].policy | maildrop.policy)

    def _statuses(self, maildrop: MaildropRow) -> set[str]:
        tenant = self.tenants[maildrop.key.tenant_id]
        domain = next(d for d in self.domains if (d.tenant_id, d.name) == (maildrop.key.tenant_id, maildrop.domain))
        return {tenant.status, domain.status, maildrop.status}

    def rows(self) -> list[MessageRow]:
        """Every message's row, removed ones included."""
        return [row for rows in self.messages.values() for row in rows.values()]


def _address(domain: DomainRow, local: str) -> tuple[UUID, str, str]:
    return domain.tenant_id, domain.name, local
