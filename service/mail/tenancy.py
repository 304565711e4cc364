"""What provisioning needs of the outside: tenants, domains, maildrops, aliases, credentials and their audit.

Every write belongs to one tenant and writes its audit row in the same transaction. Every method may raise
`Refusal(UNAVAILABLE)`; other reasons are named. A refusal's cause is plain text for staff.
Nothing here reaches beyond the tenant it names (G10), save `Domains.find`, which tells who owns a domain.
"""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol
from uuid import UUID

from service.mail.batches import MaildropRow, Manner, Outcome
from service.mail.issuing import TenantIssuers
from service.model.account import Status
from service.model.address import Address
from service.model.refusal import Refusal
from service.model.tenancy import (
    AliasView,
    AuditEntry,
    CredentialView,
    DomainView,
    ListedMessage,
    MaildropView,
    NewCredential,
    Overrides,
    PolicyChange,
    RemovedMessage,
    TenantView,
    Usage,
)

MARGIN = timedelta(hours=1)
"""How long before the sweep may touch a removed message it is out of reach: longer than clocks differ."""


@dataclass(frozen=True, slots=True)
class Act:
    """One write: who does it, in whose tenancy; an act in none concerns the service itself."""

    actor: str
    tenant: str


@dataclass(frozen=True, slots=True)
class Page:
    """At most `limit` rows whose natural name sorts after `after`."""

    after: str = ""
    limit: int = 500


class Tenants(Protocol):
    """The tenants by name. A removed one is gone from here at once, though its rows await the sweep."""

    async def create(self, act: Act, policy: Overrides) -> TenantView:
        """Create the tenant `act.tenant`. Raises Refusal(EXISTS)."""

    async def find(self, name: str) -> TenantView | None:
        """The tenant, or None."""

    async def page(self, page: Page) -> Sequence[TenantView]:
        """Tenants by ascending name."""

    async def usage(self, name: str) -> Usage:
        """What the tenant holds. Raises Refusal(NOT_FOUND)."""

    async def set_status(self, act: Act, status: Status) -> None:
        """Binds the next login and delivery of all its maildrops (G11). Raises Refusal(NOT_FOUND)."""

    async def set_policy(self, act: Act, change: PolicyChange) -> None:
        """Change what the tenant sets. Raises Refusal(NOT_FOUND)."""

    async def remove(self, act: Act, cascade: bool) -> None:
        """Remove the tenant, with all it holds if `cascade`.

        Raises Refusal: NOT_FOUND, or EXISTS when it still has maildrops and `cascade` is false.
        """


class Domains(Protocol):
    """The domains; each belongs to one tenant of the whole service."""

    async def create(self, act: Act, name: str) -> DomainView:
        """Give the domain to the tenant. Raises Refusal: NOT_FOUND (no such tenant), EXISTS (owned already)."""

    async def find(self, name: str) -> DomainView | None:
        """The domain, whoever owns it, or None."""

    async def page(self, tenant: str, page: Page) -> Sequence[DomainView]:
        """The tenant's domains by ascending name."""

    async def set_status(self, act: Act, name: str, status: Status) -> None:
        """Binds the next login and delivery of the domain's maildrops (G11). Raises Refusal(NOT_FOUND)."""

    async def set_catch_all(self, act: Act, name: str, address: Address | None) -> None:
        """Where mail for unknown local parts goes. Raises Refusal(NOT_FOUND) for either name."""

    async def remove(self, act: Act, name: str, cascade: bool) -> None:
        """Remove the domain, with its maildrops and aliases if `cascade`.

        Raises Refusal: NOT_FOUND, or EXISTS when it still has any and `cascade` is false.
        """


class Maildrops(Protocol):
    """The maildrops by address. One created anew under a removed one's address shares nothing with it (G7)."""

    async def create(self, act: Act, address: Address, policy: Overrides) -> MaildropView:
        """Raises Refusal: NOT_FOUND (the domain isn't the tenant's), EXISTS (a maildrop or alias has the address)."""

    async def find(self, tenant: str, address: Address) -> MaildropView | None:
        """The maildrop, or None."""

    async def last_delivery(self, tenant: str, address: Address) -> datetime | None:
        """When its newest message came, as long as that isn't deleted for good; None if there is none."""

    async def page(self, tenant: str, page: Page) -> Sequence[MaildropView]:
        """The tenant's maildrops by domain, then local part; `page.after` is an address."""

    async def set_status(self, act: Act, address: Address, status: Status) -> None:
        """Binds the next login and delivery (G11). Raises Refusal(NOT_FOUND)."""

    async def set_policy(self, act: Act, address: Address, change: PolicyChange) -> None:
        """Change what the maildrop itself sets. Raises Refusal(NOT_FOUND)."""

    async def remove(self, act: Act, address: Address) -> int:
        """Remove the maildrop and all its messages; how many those were.

        The rows stay until the sweep has deleted their blobs. A session that has it open may still retrieve.
        Raises Refusal(NOT_FOUND).
        """


class ListedMessages(Protocol):
    """Messages that clients are shown."""

    async def page(self, tenant: str, address: Address, after: int, limit: int) -> Sequence[ListedMessage]:
        """Those of the maildrop whose sequence number is greater than `after`, in order. Raises Refusal(NOT_FOUND)."""


class RemovedMessages(Protocol):
    """Messages that a client, the retention or staff removed, while their blobs surely exist.

    `within` is how long ago a message may have been removed: short of the time after which the sweep deletes blobs.
    One that a policy keeps longer or shorter is among them until `MARGIN` before that is over; one that was restored no
    longer is.
    """

    async def newest(self, tenant: str, address: Address, within: timedelta, limit: int) -> Sequence[RemovedMessage]:
        """The maildrop's removed messages, last removed first. Raises Refusal(NOT_FOUND)."""

    async def page(self, tenant: str, address: Address, within: timedelta, page: Page) -> Sequence[RemovedMessage]:
        """The same by name, which is `RemovedMessage.name`: first removed first.

        Raises Refusal: NOT_FOUND; INVALID where `page.after` is no such name.
        """

    async def restore(self, act: Act, address: Address, unique_ids: Sequence[UUID], within: timedelta) -> int:
        """List these messages again as new ones, under new numbers and new unique-ids (G7); how many were there.

        Raises Refusal(NOT_FOUND) if there is no such maildrop.
        """


class Aliases(Protocol):
    """Other addresses of maildrops, within one tenant."""

    async def create(self, act: Act, alias: Address, target: Address) -> AliasView:
        """Raises Refusal: NOT_FOUND (the alias's domain, or the maildrop `target`), EXISTS (the address is taken)."""

    async def page(self, tenant: str, page: Page) -> Sequence[AliasView]:
        """The tenant's aliases by domain, then local part; `page.after` is an alias."""

    async def find(self, tenant: str, alias: Address) -> AliasView | None:
        """The alias, or None."""

    async def point(self, act: Act, alias: Address, target: Address) -> None:
        """Have an alias name another maildrop. Raises Refusal(NOT_FOUND) for either name."""

    async def remove(self, act: Act, alias: Address) -> None:
        """Raises Refusal(NOT_FOUND)."""


class Credentials(Protocol):
    """The credentials of maildrops, each by the label that staff gave it."""

    async def create(self, act: Act, address: Address, credential: NewCredential) -> CredentialView:
        """Raises Refusal: NOT_FOUND (no such maildrop), EXISTS (the label is taken)."""

    async def of(self, tenant: str, address: Address) -> Sequence[CredentialView]:
        """All credentials of the maildrop by label. Raises Refusal(NOT_FOUND)."""

    async def replace(self, act: Act, address: Address, credential: NewCredential) -> None:
        """Put another credential, with an id of its own, under the same label; binds the next login (G11).

        Raises Refusal(NOT_FOUND).
        """

    async def change(self, act: Act, address: Address, credential: NewCredential, *, suspended: bool = False) -> None:
        """Put another verifier under the same label, as `changing.changed`; binds the next login (G11).

        With `suspended` one that is suspended may be changed too, and stays so. Raises Refusal: NOT_FOUND, INVALID.
        """

    async def set_status(self, act: Act, address: Address, label: str, status: Status) -> None:
        """Binds the next login (G11). Raises Refusal(NOT_FOUND)."""

    async def remove(self, act: Act, address: Address, label: str) -> None:
        """Raises Refusal(NOT_FOUND)."""


@dataclass(frozen=True, slots=True)
class AuditQuery:
    """At most `limit` entries before the one with the id `before`, of those that match whatever else is given."""

    before: int | None = None
    limit: int = 100
    actor: str | None = None
    action: str | None = None
    subject: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    """Not itself included."""


class Audit(Protocol):
    """What was done to a tenant; it outlives what it tells of."""

    async def note(self, act: Act, what: tuple[str, str], details: Mapping[str, object] | None = None) -> None:
        """Keep an act that changes no row: `what` is the action and its subject. Raises Refusal(NOT_FOUND)."""

    async def page(self, tenant: str | None, query: AuditQuery) -> Sequence[AuditEntry]:
        """The matching entries, newest first; without a tenant, those of the service itself.

        Raises Refusal(NOT_FOUND).
        """

    async def newest(self, tenant: str, limit: int) -> Sequence[AuditEntry]:
        """The tenant's entries, newest first. Raises Refusal(NOT_FOUND)."""


class MaildropBatches(Protocol):
    """Maildrops by the thousand, each batch in one transaction with one audit row."""

    async def there(self, tenant: str, addresses: Sequence[Address]) -> AbstractSet[Address]:
        """Which of these are maildrops of the tenant's."""

    async def put(self, act: Act, rows: Sequence[MaildropRow], manner: Manner) -> Sequence[Outcome | Refusal]:
        """What became of each row, whose addresses are distinct; all that wasn't refused is kept together.

        A row is refused with NOT_FOUND (a domain isn't the tenant's) or EXISTS (a name is taken).
        Raises Refusal: NOT_FOUND (no such tenant).
        """


class DirectoryChoices(Protocol):
    """Which outside directory keeps a tenant's users: its name in the settings, None for the service's default."""

    async def of(self, tenant: str) -> str | None:
        """What the tenant chose. Raises Refusal(NOT_FOUND)."""

    async def choose(self, act: Act, directory: str | None) -> None:
        """Binds the next login and delivery of all the tenant's maildrops. Raises Refusal(NOT_FOUND)."""


@dataclass(frozen=True, slots=True)
class Tenancy:
    """Every port of provisioning, as one vendor offers them."""

    tenants: Tenants
    domains: Domains
    maildrops: Maildrops
    listed_messages: ListedMessages
    removed_messages: RemovedMessages
    aliases: Aliases
    credentials: Credentials
    audit: Audit
    batches: MaildropBatches
    directories: DirectoryChoices
    issuers: TenantIssuers
