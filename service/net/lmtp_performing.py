"""How the effects of an LMTP session are performed: each by one method, through the use case.

Owns what happens between an effect and its outcome, and the transaction that is open. Refuses to know sockets,
and the order of commands, which is the session's.
RFC 2033 §4.2.
"""

from collections.abc import Callable

from service.mail.delivery import Delivery, Transaction
from service.mail.shipment import LONG_OCTETS
from service.model.refusal import Refusal
from service.net.lmtp_record import Record
from service.protocol.lmtp import effects
from service.protocol.lmtp.session import LmtpSession
from service.telemetry import spans


class Performer:
    """Performs the effects of one session; what was begun stays here until it is delivered or abandoned."""

    def __init__(self, delivery: Delivery, session: LmtpSession, record: Record, shed: Callable[[], object]) -> None:
        self._delivery = delivery
        self._session = session
        self._record = record
        self._shed = shed
        self._begun: tuple[effects.Begin, Transaction] | None = None

    @property
    def is_long(self) -> bool:
        """Whether the text that comes is a long one already."""
        return self._begun is not None and self._begun[1].octets > LONG_OCTETS

    async def resolve(self, effect: effects.Resolve) -> bool:
        """Find the recipient; whether there is one."""
        with self._record.trace.step("RCPT"):
            try:
                recipient = await self._delivery.resolve(effect.address)
            except Refusal as refusal:
                self._record.refused(effect.address.base, refusal)
                self._session.resolved(refusal)
                return False
            spans.note(tenant=recipient.tenant)
        self._session.resolved(recipient)
        return True

    def resolve_at_once(self, effect: effects.Resolve) -> bool:
        """The same without waiting, for one that is known; False, and nothing done, if `resolve` must be awaited."""
        recipient = self._delivery.try_resolve(effect.address)
        if recipient is None:
            return False
        with self._record.trace.step("RCPT"):
            spans.note(tenant=recipient.tenant)
        self._session.resolved(recipient)
        return True

    async def begin(self, effect: effects.Begin, client: str) -> None:
        """Open the transaction's way into the store."""
        # What is put there from now on goes on beyond this effect.
        self._record.trace.inside()
        try:
            self._begun = effect, await self._delivery.begin(effect.envelope, client, self._shed)
        except Refusal as refusal:
            self._record.text_refused(effect.envelope, refusal)
            self._session.begun(refusal)
        else:
            self._session.begun()

    def begin_at_once(self, effect: effects.Begin, client: str) -> bool:
        """The same without waiting; False if `begin` must be awaited, which then gives the outcome."""
        self._record.trace.inside()
        transaction = self._delivery.try_begin(effect.envelope, client, self._shed)
        if transaction is None:
            return False
        self._begun = effect, transaction
        self._session.begun()
        return True

    def store(self, effect: effects.Store) -> bool:
        """Pass text on; False if `room` must be awaited, which then gives the outcome."""
        if not self._transaction().offer(effect.text):
            return False
        self._session.stored()
        return True

    async def room(self) -> None:
        """Wait until the store keeps up."""
        try:
            await self._transaction().room()
        except Refusal as refusal:
            self._session.stored(refusal)
        else:
            self._session.stored()

    async def deliver(self) -> None:
        """Come to an outcome for each recipient. Runs to its end even if the client is gone."""
        begin, transaction = self._taken()
        with self._record.trace.step("end of mail data"):
            outcomes = await transaction.deliver()
        self._record.delivered(begin.envelope, transaction, outcomes)
        self._session.delivered(outcomes)

    async def abandon(self, effect: effects.Abandon) -> None:
        """Leave nothing of the text behind."""
        begin, transaction = self._taken()
        await transaction.abandon()
        if effect.reason is not None:
            refusal = Refusal(effect.reason)
            self._record.delivered(begin.envelope, transaction, [refusal] * len(begin.envelope.recipients))
        self._session.abandoned()

    async def close(self) -> None:
        """The connection is gone: abandon what is open."""
        if self._begun is not None:
            _, transaction = self._taken()
            await transaction.abandon()

    def _transaction(self) -> Transaction:
        if self._begun is None:
            raise RuntimeError("text without a transaction")
        return self._begun[1]

    def _taken(self) -> tuple[effects.Begin, Transaction]:
        begun, self._begun = self._begun, None
        if begun is None:
            raise RuntimeError("an end without a transaction")
        return begun
