"""Who may log in: a maildrop, its tenant, its credentials and its policy.

Owns identity and status; refuses to know how a verifier is checked.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple
from uuid import UUID

from service.model.policy import Policy, PolicyValue

if TYPE_CHECKING:
    from service.model.kept import Kept


class Status(Enum):
    """Whether a tenant, maildrop or credential may be used."""

    ACTIVE = "active"
    SUSPENDED = "suspended"


class MaildropKey(NamedTuple):
    """Names one maildrop everywhere: in the index, in leases, in logs."""

    tenant_id: UUID
    maildrop_id: UUID


@dataclass(frozen=True, slots=True)
class Credential:
    """One way to prove an identity; `verifier` is what is stored, never the secret itself."""

    credential_id: UUID
    kind: str
    verifier: str
    label: str = ""
    expires: datetime | None = None
    scram: str | None = None
    """The same secret's keys for SCRAM-SHA-256 in their stored form, where they were made (RFC 5803 §1)."""
    policy: Mapping[str, PolicyValue] = field(default_factory=dict)
    """What an app password narrows of its maildrop's policy."""
    kept_outside: bool = False
    """Whether an outside directory keeps it, so that nothing of it is written here."""


@dataclass(frozen=True, slots=True)
class Outside:
    """What an account has besides whose user an outside directory keeps."""

    directory: str
    """Its name in the settings."""
    housed: bool = True
    """Whether there is a maildrop; False for one that the first login makes, or that nobody may make."""
    known: bool = True
    """False where the directory was asked and doesn't know the address: then nothing opens the maildrop."""
    vouched: Credential | None = None
    """What the directory itself found right, if it judges passwords and said yes."""


@dataclass(frozen=True, slots=True)
class Account:
    """What one look-up brings for a login: `active` is false when tenant or maildrop is suspended."""

    key: MaildropKey
    tenant: str
    address: str
    active: bool
    policy: Policy
    credentials: tuple[Credential, ...] = ()
    directory: str | None = None
    """The outside directory that the tenant chose; None for the service's default."""
    outside: Outside | None = None
    """Set where an outside directory is in force; `credentials` are then what it brought."""
    kept: "Kept | None" = None
    """What the maildrop held when it was opened last, if that is all there is to go by: the directory is away."""

    seen: bytes | None = field(default=None, repr=False, compare=False)
    """A digest of all that the directory read, by which it can be asked whether that is still so."""

    @property
    def housed(self) -> bool:
        """Whether there is a maildrop; somebody whom an outside directory may know need not have one yet."""
        return self.outside is None or self.outside.housed


@dataclass(frozen=True, slots=True)
class Recipient:
    """Where an address delivers to: `delivered_to` is the maildrop's address, or the one the catch-all stood in for."""

    key: MaildropKey
    tenant: str
    address: str
    delivered_to: str
    policy: Policy
