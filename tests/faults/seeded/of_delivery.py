"""Defects between the end of mail data and its reply, and in the sweep. RFC 2033 §4.2."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from uuid import UUID

from pytest import MonkeyPatch  # noqa: PT013

from service.mail.delivery import Addressee, Transaction
from service.mail.ports import Expired
from service.mail.shipment import Copy
from service.model.account import Recipient
from service.model.message import Blob, NewMessage
from service.model.refusal import Reason, Refusal
from service.net.lmtp_performing import Performer
from service.protocol.lmtp import replies
from service.protocol.lmtp.replies import Reply
from service.stores.memory.sweep import MemorySweepable
from tests.faults.seeded import scenarios_of_mail
from tests.faults.seeded.defect import defect


@defect("G1", scenarios_of_mail.postgres_refuses_rows)
def the_reply_comes_before_the_commit(patch: MonkeyPatch) -> None:
    """250 is said as soon as the text is whole."""

    async def hasty(self: Performer) -> None:
        begin, transaction = self._taken()
        self._session.delivered([None] * len(begin.envelope.recipients))
        await transaction.deliver()

    patch.setattr(Performer, "deliver", hasty)


@defect("G1", scenarios_of_mail.the_store_refuses_a_blob)
def the_row_comes_before_the_blob(patch: MonkeyPatch) -> None:
    """A message is listed before its blob is durable, and stays listed where that fails."""

    async def hopeful(self: Copy, seconds: float) -> Refusal | None:
        return None

    patch.setattr(Copy, "settled", hopeful)
    patch.setattr(Copy, "settled_alone", hopeful)


@defect("G18", scenarios_of_mail.the_answer_about_rows_is_lost)
def a_repetition_has_no_key(patch: MonkeyPatch) -> None:
    """Where the answer is lost, the rows are written again under another unique-id."""
    list_once = Transaction._list

    async def stubborn(self: Transaction, tenant: UUID, blob: Blob | Refusal) -> Mapping[Addressee, Refusal | None]:
        outcomes = await list_once(self, tenant, blob)
        return await list_once(self, tenant, blob) if any(outcomes.values()) else outcomes

    patch.setattr(Transaction, "_list", stubborn)


@defect("G7", scenarios_of_mail.delivery_starts_anew)
def the_unique_id_is_a_counter(patch: MonkeyPatch) -> None:
    """unique-ids are counted by each process, from 1."""
    counts: dict[int, int] = defaultdict(int)
    made = Transaction._message

    def counted(self: Transaction, recipient: Recipient, blob: Blob) -> NewMessage:
        message, process = made(self, recipient, blob), id(self._stores.index)
        counts[process] += 1
        return NewMessage(UUID(int=counts[process]), message.blob, message.received, message.trace)

    patch.setattr(Transaction, "_message", counted)


@defect("G14", scenarios_of_mail.postgres_refuses_rows)
def a_fault_gives_the_mail_back(patch: MonkeyPatch) -> None:
    """A sender hears 554 while Postgres is away, and tells its author that the mail can't be delivered."""
    refused = {**replies.REFUSED, Reason.UNAVAILABLE: Reply(554, "5.3.0", "Database down")}
    patch.setattr(replies, "REFUSED", refused)
    patch.setattr(replies, "AFTER_TEXT", refused)


@defect("G1 G8", scenarios_of_mail.a_blob_is_shared)
def a_blob_goes_while_another_row_names_it(patch: MonkeyPatch) -> None:
    """The sweep deletes the blob of a removed message, though another recipient still lists it."""

    async def greedy(self: MemorySweepable, expired: Sequence[Expired]) -> Sequence[str]:
        return sorted({each.blob_key for each in expired})

    patch.setattr(MemorySweepable, "release_blobs", greedy)


@defect("G1", scenarios_of_mail.delivery_starts_anew)
def every_second_text_is_thrown_away(patch: MonkeyPatch) -> None:
    """Every second text that is answered 250 is thrown away."""
    deliver = Transaction.deliver
    count: list[int] = []

    async def lazy(self: Transaction) -> Sequence[Refusal | None]:
        count.append(1)
        if len(count) % 2:
            return await deliver(self)
        await self.abandon()
        return [None] * len(self._recipients)

    patch.setattr(Transaction, "deliver", lazy)
