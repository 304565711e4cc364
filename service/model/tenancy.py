"""What staff see of tenants: domains, maildrops, aliases, credentials, and the policy each level sets.

Owns natural names and which level a policy value comes from; refuses to know who asks and where rows are kept.
Secrets never stand in a view. RFC 2449 §6.5 (LOGIN-DELAY), §6.7 (EXPIRE).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum
from types import MappingProxyType
from uuid import UUID

from service.model.account import Status
from service.model.message import StoredMessage
from service.model.policy import PolicyValue
from service.model.policy_table import POLICY_NAMES, default_of

Overrides = Mapping[str, PolicyValue]
"""Policy values that one level sets; an absent name is inherited, None means no limit (or never, or any)."""

NOTHING_SET: Overrides = MappingProxyType({})
MAX_LABEL_CHARACTERS = 64

_TENANT_NAME = re.compile(r"[a-z0-9-]{1,63}")


class Origin(Enum):
    """Which level set an effective policy value."""

    DEFAULT = "default"
    TENANT = "tenant"
    MAILDROP = "maildrop"


@dataclass(frozen=True, slots=True)
class Setting:
    """One effective policy value and the level that set it."""

    value: PolicyValue
    origin: Origin


@dataclass(frozen=True, slots=True)
class PolicyChange:
    """Values to set at one level and names to inherit again; everything else stays."""

    values: Overrides = field(default_factory=dict)
    inherited: frozenset[str] = frozenset()

    @property
    def details(self) -> dict[str, object]:
        """The change as the audit keeps it."""
        return {"values": dict(self.values), "inherited": sorted(self.inherited)}

    def applied_to(self, current: Overrides) -> Overrides:
        """What the level sets after the change."""
        merged = {**current, **self.values}
        return {name: value for name, value in merged.items() if name not in self.inherited}


@dataclass(frozen=True, slots=True)
class TenantView:
    """A tenant as staff see it; `policy` holds what it sets for all its maildrops."""

    tenant_id: UUID
    name: str
    status: Status
    created: datetime
    policy: Overrides = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Usage:
    """What a tenant holds: removed maildrops and messages are not counted."""

    domains: int
    maildrops: int
    messages: int
    octets: int


@dataclass(frozen=True, slots=True)
class DomainView:
    """A domain and the one tenant it belongs to; `catch_all` is the address that takes unknown local parts."""

    name: str
    tenant: str
    status: Status
    created: datetime
    catch_all: str | None = None


@dataclass(frozen=True, slots=True)
class MaildropView:
    """A maildrop as staff see it; `policy` holds its own values, `inherited` its tenant's."""

    maildrop_id: UUID
    tenant: str
    address: str
    status: Status
    created: datetime
    messages: int = 0
    octets: int = 0
    policy: Overrides = field(default_factory=dict)
    inherited: Overrides = field(default_factory=dict)

    @property
    def settings(self) -> Mapping[str, Setting]:
        """The effective policy by name, each value with its origin."""
        return effective(self.inherited, self.policy)


@dataclass(frozen=True, slots=True)
class AliasView:
    """Another address of a maildrop."""

    alias: str
    address: str
    tenant: str


@dataclass(frozen=True, slots=True)
class CredentialView:
    """A credential without its verifier; `label` is its natural name within the maildrop."""

    credential_id: UUID
    """Another one with each password that staff set."""
    label: str
    kind: str
    status: Status
    created: datetime
    expires: datetime | None = None
    last_used: datetime | None = None
    policy: Overrides = field(default_factory=dict)
    """What an app password narrows of its maildrop's policy."""


@dataclass(frozen=True, slots=True)
class NewCredential:
    """A credential to keep: `verifier` proves the secret and is never shown."""

    label: str
    kind: str
    verifier: str = field(repr=False)
    expires: datetime | None = None
    scram: str | None = field(default=None, repr=False)
    """The same secret's keys for SCRAM-SHA-256, in their stored form."""
    credential_id: UUID | None = None
    """Its id, where the secret's text names it; else the store makes one up."""
    policy: Overrides = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ListedMessage:
    """A message that clients are shown, and what they know of it."""

    message: StoredMessage
    unique_id: str
    """What UIDL tells of it."""
    received: datetime
    retrieved: bool
    """Whether a client is known to have retrieved it; that is noted where a policy asks for it."""


@dataclass(frozen=True, slots=True)
class RemovedMessage:
    """A removed message that can still be restored, because its blob surely exists."""

    unique_id: UUID
    octets: int
    received: datetime
    removed_at: datetime
    restorable_until: datetime

    @property
    def name(self) -> str:
        """Unlike any other's of its maildrop; names sort by when messages were removed."""
        return f"{self.removed_at.astimezone(UTC).isoformat(timespec='microseconds')} {self.unique_id}"


def parse_removed_name(name: str) -> tuple[datetime, UUID]:
    """When a message of this name was removed, and its unique-id. Raises ValueError."""
    moment, _, unique_id = name.partition(" ")
    removed_at = datetime.fromisoformat(moment)
    if removed_at.tzinfo is None:
        raise ValueError("a moment without its zone")
    return removed_at, UUID(unique_id)


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """Who did what to which named thing, and when."""

    moment: datetime
    actor: str
    action: str
    subject: str
    details: Mapping[str, object] = field(default_factory=dict)
    entry_id: int = 0
    """Ascends within the tenant."""


def effective(tenant: Overrides, maildrop: Overrides) -> Mapping[str, Setting]:
    """Every policy value as it binds a maildrop: its own, else its tenant's, else the default."""
    return {name: _setting(name, tenant, maildrop) for name in POLICY_NAMES}


def _setting(name: str, tenant: Overrides, maildrop: Overrides) -> Setting:
    if name in maildrop:
        return Setting(maildrop[name], Origin.MAILDROP)
    if name in tenant:
        return Setting(tenant[name], Origin.TENANT)
    return Setting(default_of(name), Origin.DEFAULT)


def parse_tenant_name(text: str) -> str:
    """The tenant name in `text`. Raises ValueError when it isn't one."""
    if not _TENANT_NAME.fullmatch(text):
        raise ValueError("a tenant's name has 1 to 63 of a-z, 0-9 and -")
    return text


def parse_label(text: str) -> str:
    """The credential label in `text`. Raises ValueError when it is empty, too long or not printable."""
    if not text.strip() or len(text) > MAX_LABEL_CHARACTERS or not text.isprintable():
        raise ValueError(f"a label has 1 to {MAX_LABEL_CHARACTERS} printable characters")
    return text


def check_ends(thing: str, expires: datetime | None, now: datetime) -> None:
    """Raises ValueError when what is made now would have ended by then."""
    if expires is not None and expires <= now:
        raise ValueError(f"the {thing} would be over before it begins")


def counted(number: int, noun: str) -> str:
    """A number of things in words: 1 maildrop, 2 maildrops, 2 aliases."""
    plural = f"{noun}es" if noun.endswith("s") else f"{noun}s"
    return f"{number} {noun if number == 1 else plural}"
