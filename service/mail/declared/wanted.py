"""What a declaration says: a tenant and what is to stand in it.

Owns the difference between what is said and what isn't: a part that is None was left out, and is left alone. Names
are normalised, policy values are checked. Refuses to hold a secret: it knows how to read one when it is needed.
"""

from collections.abc import Callable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from enum import Enum

from service.model.account import Status
from service.model.address import Address
from service.model.tenancy import Overrides


class Unsaid(Enum):
    """Stands where None says something."""

    UNSAID = "unsaid"


@dataclass(frozen=True, slots=True)
class Secret:
    """Where a password comes from, or a verifier of it."""

    read: Callable[[], str] = field(repr=False)
    """The text. Raises Refusal(INVALID), in words that name the place, when it isn't there."""
    hashed: bool = False
    """Whether the text is a verifier."""


@dataclass(frozen=True, slots=True)
class WantedCredential:
    """A credential under its label; without a secret it must be there already."""

    status: Status | None = None
    secret: Secret | None = None


@dataclass(frozen=True, slots=True)
class WantedMaildrop:
    """A maildrop; its policy goes before its tenant's."""

    address: Address
    status: Status | None = None
    policy: Overrides | None = None
    aliases: AbstractSet[Address] | None = None
    credentials: Mapping[str, WantedCredential] | None = None


@dataclass(frozen=True, slots=True)
class WantedDomain:
    """A domain; None as its catch-all says that there is none."""

    name: str
    status: Status | None = None
    catch_all: Address | Unsaid | None = Unsaid.UNSAID


@dataclass(frozen=True, slots=True)
class WantedTenant:
    """A tenant; domains and maildrops by name."""

    name: str
    status: Status | None = None
    policy: Overrides | None = None
    directory: str | Unsaid | None = Unsaid.UNSAID
    """Which outside directory keeps its users; None says that it is the service's default."""
    domains: Mapping[str, WantedDomain] | None = None
    maildrops: Mapping[str, WantedMaildrop] | None = None

    def credentials(self) -> Iterator[tuple[Address, str, WantedCredential]]:
        """Every credential with its maildrop's address and its label."""
        for maildrop in (self.maildrops or {}).values():
            for label, credential in (maildrop.credentials or {}).items():
                yield maildrop.address, label, credential

    def aliases(self) -> Iterator[tuple[Address, Address]]:
        """Every alias with the maildrop it leads to."""
        for maildrop in (self.maildrops or {}).values():
            for alias in sorted(maildrop.aliases or (), key=str):
                yield alias, maildrop.address

    def domain_names(self) -> frozenset[str]:
        """Every domain that is named, or that an address stands in."""
        addresses = {maildrop.address.domain for maildrop in (self.maildrops or {}).values()}
        return frozenset(self.domains or ()) | addresses | {alias.domain for alias, _ in self.aliases()}
