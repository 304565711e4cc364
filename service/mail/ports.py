"""What the use cases need of the outside, as Protocols; `stores/` implements them.

Every method may raise `Refusal(Reason.UNAVAILABLE)` when its system can't be reached within its
deadline; other reasons are named. No method lets a vendor's exception through.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, Protocol
from uuid import UUID

from service.mail.patience import Patience
from service.model.account import Account, MaildropKey, Recipient
from service.model.address import Address
from service.model.aftermath import NO_AFTERMATH, Aftermath
from service.model.listing import DropListing, Listing
from service.model.message import NewMessage, StoredMessage
from service.model.policy import Announced
from service.model.refusal import Refusal
from service.model.scram import ScramKeys
from service.model.shown import EVERYTHING, Shown
from service.model.trail import NO_TRAIL, Trail


class Directory(Protocol):
    """Tenants, domains, maildrops, aliases and credentials, read only."""

    async def find(self, name: str) -> Account | None:
        """The account that logs in as `name`, with the credentials that are active and in date, or None.

        One round trip, made for unknown names too (G13).
        """

    async def resolve(self, address: Address) -> Recipient:
        """Where mail for `address` goes: maildrop, alias, then the domain's catch-all; the tag is ignored.

        Raises Refusal: NO_RECIPIENT, SUSPENDED, or OVER_QUOTA when the maildrop is full already.
        """

    async def announced(self) -> Announced:
        """What CAPA announces before login: the extremes over all tenants and maildrops."""


class DomainOwners(Protocol):
    """Whose a domain is, whatever its status; no more than that."""

    async def owner(self, domain: str) -> tuple[UUID, str] | None:
        """The id and the name of the tenant that has `domain`, in lower-case A-labels; None if nobody has."""


class PasswordHashes(Protocol):
    """One-way verifiers of passwords, computed off the event loop in a bounded queue."""

    async def verify(self, verifier: str | None, password: str) -> bool:
        """Whether `password` matches. None costs as much as a real one and is False (G13).

        Raises Refusal(OVERLOADED) when the queue is full.
        """

    async def hash(self, password: str) -> str:
        """A new verifier for `password`."""

    def current(self, verifier: str) -> bool:
        """Whether `hash` would make `verifier` the same way today: by its scheme, at its cost."""

    def adopt(self, verifier: str) -> str:
        """Another system's verifier, as it is to be kept.

        Raises Refusal(INVALID), with a cause for staff to read, for one that `verify` could never match.
        """


class Verifiers(Protocol):
    """What proves the secrets of credentials, as it is stored."""

    async def replace(self, key: MaildropKey, credential_id: UUID, old: str, new: str) -> bool:
        """Put `new` in the place of exactly `old`; False if another stands there by now, and stays. Idempotent."""

    async def add_scram(self, key: MaildropKey, credential_id: UUID, verifier: str, keys: ScramKeys) -> bool:
        """Put `keys` beside exactly `verifier`, where there are none; False if there are others. Idempotent."""


@dataclass(slots=True)
class Holder:
    """Who holds a maildrop, for staff to see: no secret, no message text. Not frozen: that takes each login longer."""

    session_id: str
    tenant: str
    address: str
    client: str
    """The client's network address."""
    mechanism: str
    process: str
    """The pod's or host's name and the process id."""
    since: datetime


LEASE_SECONDS = 10.0
"""Seconds for which a lease is held unless it is renewed, where nobody says otherwise."""
RENEW_EVERY = 3.0
"""Seconds between two renewals, where nobody says otherwise: two may be missed."""


class Lease(NamedTuple):
    """A maildrop held by one session; `token` is random and belongs to that session alone."""

    key: MaildropKey
    token: str
    holder: Holder


@dataclass(frozen=True, slots=True)
class Renewal:
    """What a renewal found, as far as it wasn't that a lease was held all the time."""

    lost: Sequence[Lease] = ()
    """Another token holds these."""
    regained: Sequence[Lease] = ()
    """Nobody held these any more, and they are held again; others may have come and gone in between."""
    unanswered: Sequence[Lease] = ()
    """These couldn't be asked for."""


class MaildropLocks(Protocol):
    """Leases: exclusive for `lease_seconds` unless renewed. A convenience, never the judge: the fence is (G4)."""

    async def acquire(self, lease: Lease) -> bool:
        """Whether the maildrop was free and is now held under `lease.token`."""

    async def release(self, lease: Lease) -> bool:
        """Free the maildrop if `lease.token` still holds it, or was evicted from it; whether it was so."""

    async def renew(self, leases: Sequence[Lease]) -> Renewal:
        """Extend all in one batch. A lease that ran out or was forgotten is taken again when nobody else holds it."""

    async def seize(self, lease: Lease) -> bool:
        """Take the maildrop from whoever holds it, for the session whose fence is the newest; it loses its lease.

        False, with nothing taken, where staff evicted the holder.
        """

    async def may_log_in(self, key: MaildropKey, delay: int, burst: int) -> bool:
        """Whether fewer than `burst` logins are in the bucket, which loses one in `delay` seconds; puts this one in."""

    async def holders(self) -> Sequence[Holder]:
        """The live sessions, for staff."""

    async def evict(self, key: MaildropKey) -> bool:
        """Make the holder lose its lease within one renewal; False if nobody held it.

        Nobody waits for it longer than its lease would have lasted (G6).
        """


class MessageIndex(Protocol):
    """The rows that say which messages a maildrop has, and the fence that says which session may remove."""

    async def open(self, key: MaildropKey, fence: bytes, shown: Shown = EVERYTHING) -> DropListing:
        """Write the fence of the newest session (16 octets) and read the counters, in one round trip.

        What isn't shown isn't counted, listed or removed by this session.
        """

    async def newest(self, fences: Sequence[tuple[MaildropKey, bytes]]) -> set[bytes]:
        """Those of these fences that are still their maildrop's newest, in one round trip."""

    async def listing(self, key: MaildropKey, drop: DropListing) -> Listing:
        """The messages that `drop` counted, by ascending sequence number, whatever happened since.

        Raises Refusal(BROKEN) if they aren't those counted: a listing is never shortened (G14).
        """

    async def locate(self, key: MaildropKey, sequences: Sequence[int]) -> Mapping[int, StoredMessage]:
        """Where the messages with these sequence numbers are stored; a missing one is left out."""

    async def remove(
        self,
        key: MaildropKey,
        fence: bytes,
        sequences: Sequence[int],
        trail: Trail = NO_TRAIL,
        aftermath: Aftermath = NO_AFTERMATH,
    ) -> None:
        """Remove exactly these messages and adjust the counters, all or none, if `fence` is still the newest.

        The audit gets one row that says how many and by whom, and `aftermath` is seen to, in the same transaction.
        Idempotent under one fence; resolves an unknown outcome by repeating itself.
        Raises Refusal: LOST (none removed), UNAVAILABLE (none removed), UNKNOWN_OUTCOME.
        """

    async def append(self, arrivals: Sequence[tuple[Recipient, NewMessage]]) -> Sequence[Refusal | None]:
        """Append each message to its maildrop, all recipients of one blob in one transaction; idempotent by unique_id.

        Returns one outcome a recipient, in order: None, or a Refusal (OVER_QUOTA, NEVER_FITS, NO_RECIPIENT, SUSPENDED).
        Raises Refusal(UNAVAILABLE) if none is known to be stored.
        """

    async def known(self, key: MaildropKey, unique_ids: Sequence[UUID]) -> set[UUID]:
        """Those of `unique_ids` that a message of this maildrop has, removed ones included."""

    async def taken(self, key: MaildropKey) -> set[str]:
        """What UIDL tells of each message of this maildrop, or would of the removed ones."""


@dataclass(frozen=True, slots=True)
class Expired:
    """A removed message whose retention is over."""

    key: MaildropKey
    sequence: int
    blob_key: str


class Sweepable(Protocol):
    """The sweep's view of the index."""

    async def expire(self, limit: int) -> int:
        """Remove messages received expire_days ago or retrieved retrieved_days ago, at most `limit`; how many were.

        The audit gets a row for each maildrop, in the same transaction.
        """

    async def removed_before(self, moment: datetime, limit: int) -> Sequence[Expired]:
        """Messages removed before `moment`, oldest first, and those that a policy kept until now."""

    async def release_blobs(self, expired: Sequence[Expired]) -> Sequence[str]:
        """The blob keys among `expired` that no row outside `expired` names."""

    async def forget(self, expired: Sequence[Expired]) -> None:
        """Delete these rows for good."""

    async def named(self, blob_keys: Sequence[str]) -> set[str]:
        """Those of `blob_keys` that some row names."""

    async def known(self, tenant_ids: Sequence[UUID]) -> set[UUID]:
        """Those of `tenant_ids` that are tenants here, or that the audit knows as removed."""

    async def backlog(self, moment: datetime) -> int:
        """How many such messages still have a row."""

    async def forget_audit(self, moment: datetime, limit: int) -> int:
        """Delete what the audit kept before `moment`, at most `limit` entries; how many were."""


@dataclass(frozen=True, slots=True)
class StoredBlob:
    """A blob as the store lists it."""

    key: str
    octets: int
    modified: datetime


class BlobStore(Protocol):
    """Immutable blobs by key."""

    async def put(self, key: str, chunks: AsyncIterator[bytes]) -> None:
        """Store the concatenation of `chunks`; durable once this returns, absent if it raises or `chunks` raises."""

    async def read(self, key: str, start: int, end: int, patience: Patience | None = None) -> bytes:
        """The octets from `start` up to, not including, `end`, in one request; `patience` hears of some that came.

        Fewer octets than asked for only if the blob is shorter. Raises Refusal(BROKEN) if there is no such blob.
        """

    def stream(self, key: str, start: int, end: int, patience: Patience | None = None) -> AsyncGenerator[bytes, None]:
        """The octets from `start` up to `end` in pieces of at most 1 MiB, fetched as they are consumed.

        Whoever leaves it early closes it. Raises Refusal: BROKEN if there is no such blob, UNAVAILABLE when the store
        fails in the middle.
        """

    async def delete(self, keys: Sequence[str]) -> None:
        """Delete these blobs; one that is gone already is no error."""

    def scan(self, prefix: str, after: str = "") -> AsyncIterator[StoredBlob]:
        """The blobs whose key starts with `prefix` and sorts after `after`, in key order."""


class NearBlobs(BlobStore, Protocol):
    """Blobs of which some are so near that nobody need wait for them."""

    def at_hand(self, key: str, octets: int) -> bytes | None:
        """The first `octets` of a blob, if they can be had without waiting; None otherwise, whatever the reason."""

    def begin(self, key: str, octets: int) -> "asyncio.Future[bytes] | None":
        """As `mail.begun.BegunBlobs` says."""


class Clock(Protocol):
    """Time, as a port so that tests can offset it."""

    def now(self) -> datetime:
        """The current moment, in UTC."""

    def monotonic(self) -> float:
        """Seconds from an arbitrary start, never going back."""
