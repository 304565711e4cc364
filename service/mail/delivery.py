"""Delivery: from an envelope and a text to blobs, rows and one outcome for each recipient.

Owns the order: blobs durable, then rows and counters, then the outcomes; whoever hears "delivered" has the
message (G1), and what breaks off before leaves no row (G18). The octets of the texts on their way are bounded by
a budget. Refuses to know LMTP and vendors.
RFC 2033 §4.2, RFC 5321 §4.4 and §6.1.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import inf
from secrets import token_bytes, token_hex
from uuid import UUID

from service.mail.ports import BlobStore, Clock, Directory, MessageIndex
from service.mail.recipients import FoundRecipients
from service.mail.shipment import Shipment, all_of, blob_key
from service.mail.text_memory import Share, TextMemory
from service.mail.trace import delivered_to, head
from service.mail.underway import Text, Underway
from service.model.account import MaildropKey, Recipient
from service.model.address import Address
from service.model.envelope import Envelope
from service.model.message import Blob, NewMessage
from service.model.refusal import Reason, Refusal
from service.model.unique_id import RANDOM_OCTETS, time_ordered

HELD_OCTETS = 1024 * 1024
"""Octets of one text that wait for the store, at most; the tenants' copies share them."""
COPY_OCTETS = 16 * 1024 * 1024
"""Octets a store may hold of one blob on its way, in parts to be sent and in sending."""
LEAST_OCTETS = 2 * (HELD_OCTETS + COPY_OCTETS)
"""Octets of memory for all texts, at least: half of it must hold what one text of any length needs for one tenant."""
FIRST_OCTETS = HELD_OCTETS // 4
"""Octets of text for which memory is taken at first, so that whoever sends nothing keeps little from others."""
Addressee = tuple[MaildropKey, str]
"""What gets a row of its own: a maildrop, and the address that it is told the text was for."""


def _stay() -> None:
    """A transaction that makes no room for others."""


@dataclass(frozen=True, slots=True)
class DeliveryStores:
    """What a delivery writes to and asks."""

    directory: Directory
    blobs: BlobStore
    index: MessageIndex
    clock: Clock
    found: FoundRecipients | None = None
    """Whom it needn't ask for; None asks for everybody."""


class Delivery:
    """The use case. `stall`: seconds the store may take for one step before its copy is given up."""

    def __init__(self, stores: DeliveryStores, host: str, memory: TextMemory, stall: float = 60.0) -> None:
        self._stores = stores
        self._host = host
        self._memory = memory
        self._stall = stall
        self.underway = Underway(memory, stores.clock)

    async def resolve(self, address: Address) -> Recipient:
        """Where mail for `address` goes. Raises Refusal: NO_RECIPIENT, SUSPENDED, OVER_QUOTA, UNAVAILABLE."""
        recipient = await self._stores.directory.resolve(address)
        if self._stores.found is not None:
            self._stores.found.remember(address, recipient)
        return recipient

    def try_resolve(self, address: Address) -> Recipient | None:
        """The same, if it was found lately."""
        return None if self._stores.found is None else self._stores.found.recall(address)

    async def begin(self, envelope: Envelope, client: str, shed: Callable[[], object] = _stay) -> "Transaction":
        """A transaction ready for its text; `client` is the network address of who sends it.

        `shed` is called where it is to make room for others: the transaction must then be abandoned.
        Raises Refusal(OVERLOADED) when too many texts are on their way.
        """
        return self._transaction(envelope, client, await self.underway.begin(_share(self._memory, envelope), shed))

    def try_begin(self, envelope: Envelope, client: str, shed: Callable[[], object] = _stay) -> "Transaction | None":
        """The same, if there is room at once, as there nearly always is."""
        text = self.underway.try_begin(_share(self._memory, envelope), shed)
        return None if text is None else self._transaction(envelope, client, text)

    def _transaction(self, envelope: Envelope, client: str, text: Text) -> "Transaction":
        moment = self._stores.clock.now()
        keys = {tenant: blob_key(tenant, moment) for tenant in _tenants(envelope)}
        shipment = Shipment(self._stores.blobs, keys, HELD_OCTETS, self._stall)
        identifier = token_hex(8)
        shipment.head(head(envelope, client, self._host, moment, identifier))
        return Transaction(self._stores, envelope.recipients, shipment, text, identifier)


def _tenants(envelope: Envelope) -> set[UUID]:
    return {recipient.key.tenant_id for recipient in envelope.recipients}


def _addressee(recipient: Recipient) -> Addressee:
    return recipient.key, recipient.delivered_to


def _share(memory: TextMemory, envelope: Envelope) -> Share:
    """What a transaction may come to hold, by the octets that were declared, or the most there can be."""
    declared, copies = envelope.declared_octets, len(_tenants(envelope))
    worst = HELD_OCTETS + copies * COPY_OCTETS
    expected = FIRST_OCTETS if declared is None else declared + HELD_OCTETS // 16
    known = [(octets, min(worst, (1 + copies) * octets)) for octets in (min(FIRST_OCTETS, expected), expected)]
    # A text for several tenants counts against one of them: which doesn't matter, as there are few.
    return Share(memory, [*known, (inf, worst)], envelope.recipients[0].key.tenant_id)


class Transaction:
    """One text for its recipients. It must come to `deliver` or `abandon`, exactly once."""

    def __init__(
        self,
        stores: DeliveryStores,
        recipients: Sequence[Recipient],
        shipment: Shipment,
        text: Text,
        identifier: str,
    ) -> None:
        self._stores = stores
        self._recipients = recipients
        self._shipment = shipment
        self._text = text
        self.identifier = identifier
        """What its Received line calls it, so that a log can name it too."""
        self.octets = 0
        """Octets of the text so far, as they were sent."""

    def offer(self, text: bytes) -> bool:
        """Take the next octets; False if `room` must be awaited before the next ones."""
        self.octets += len(text)
        return self._shipment.offer(text) and self._text.covers(self.octets)

    async def room(self) -> None:
        """Wait until the stores keep up, or are given up.

        Raises Refusal(OVERLOADED) when the text is longer than was declared and there is no memory for that:
        a client may declare less than it sends, and then nothing was promised (RFC 1870 §6.3).
        """
        self._text.waits(busy=True)
        await self._shipment.room()
        await self._text.grow(self.octets)
        self._text.waits(busy=False)

    async def deliver(self) -> Sequence[Refusal | None]:
        """Store and list the whole text; one outcome for each recipient, in order. Not to be cancelled.

        The same maildrop, named twice, gets one copy and the same outcome twice; one that a catch-all leads to gets a
        copy for each address, since its `Delivered-To` is all that tells whose mail it was.
        """
        self._text.waits(busy=True)
        try:
            arrived = await self._shipment.arrived()
            listings = [self._list(tenant, blob) for tenant, blob in arrived.items()]
            outcomes = {to: one for each in await all_of(listings) for to, one in each.items()}
        finally:
            self._text.end()
        return [outcomes[_addressee(recipient)] for recipient in self._recipients]

    async def abandon(self) -> None:
        """Forget the text: nothing is listed, and nothing stored."""
        try:
            await self._shipment.abandon()
        finally:
            self._text.end()

    async def _list(self, tenant: UUID, blob: Blob | Refusal) -> Mapping[Addressee, Refusal | None]:
        """Give each addressee of one tenant its row, in one transaction; the outcome by addressee."""
        recipients = {_addressee(one): one for one in self._recipients if one.key.tenant_id == tenant}
        if isinstance(blob, Refusal):
            return dict.fromkeys(recipients, blob)
        try:
            outcomes = await self._stores.index.append([(one, self._message(one, blob)) for one in recipients.values()])
        except Refusal as refusal:
            # Whether the rows were written is not known, so the blob must stay; the sweep finds it if they weren't.
            return dict.fromkeys(recipients, refusal)
        self._forget_refused(recipients.values(), outcomes)
        await self._discard_unlisted(blob, outcomes)
        return dict(zip(recipients, outcomes, strict=True))

    def _forget_refused(self, recipients: Iterable[Recipient], outcomes: Iterable[Refusal | None]) -> None:
        """Whoever was suspended since, or is full, is to be refused at RCPT from now on."""
        if self._stores.found is not None:
            for recipient, refusal in zip(recipients, outcomes, strict=True):
                if refusal is not None:
                    self._stores.found.forget(recipient)

    def _message(self, recipient: Recipient, blob: Blob) -> NewMessage:
        now = self._stores.clock.now()
        return NewMessage(time_ordered(now, token_bytes(RANDOM_OCTETS)), blob, now, delivered_to(recipient))

    async def _discard_unlisted(self, blob: Blob, outcomes: Iterable[Refusal | None]) -> None:
        """Delete a blob that every recipient refused; where that fails, the sweep will."""
        if all(outcomes):
            try:
                await self._stores.blobs.delete([blob.key])
            except Refusal as refusal:
                if refusal.reason is not Reason.UNAVAILABLE:
                    raise
