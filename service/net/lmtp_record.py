"""What one LMTP connection did, for the metrics and for the line at its end.

Owns the counting. Refuses to decide anything. No name, address or text becomes a label (G17).
"""

import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from service.mail.delivery import Transaction
from service.mail.events import Events
from service.model.account import Recipient
from service.model.ending import Ending
from service.model.envelope import Envelope
from service.model.event import Event, Kind
from service.model.refusal import FAULTS, Reason, Refusal
from service.net.peer import Peer
from service.net.session_line import line_of
from service.protocol.lmtp.effects import Answered
from service.telemetry import metrics, spans
from service.telemetry.cleaning import quoted
from service.telemetry.logs import SessionLog
from service.telemetry.session_trace import TransactionTrace
from service.telemetry.sessions import Sessions, sessions_of
from service.telemetry.spans import Tracer, Untraced

OF_AN_ACCOUNT = frozenset({Reason.SUSPENDED, Reason.OVER_QUOTA, Reason.NEVER_FITS})
"""Refusals of recipients that are there; an event names no other."""

DONE = 250
AFRESH = frozenset({"LHLO", "MAIL", "RSET"})
"""Commands after which, done, nothing is left of a transaction before (RFC 5321 §4.1.1.2, §4.1.1.5 and §4.1.4)."""
MANY_OCTETS = 64 * 1024
"""Octets received that are counted before the connection ends: a mail server may keep one for hours."""


@dataclass(slots=True)
class Record:
    """Counts of one connection."""

    listener: str
    client: str
    events: Events
    tracer: Tracer = field(default_factory=Untraced)
    session_id: str = field(default_factory=lambda: secrets.token_hex(8))
    octets_in: int = 0
    log: SessionLog = field(init=False)
    trace: TransactionTrace = field(init=False)
    _sessions: Sessions = field(init=False)
    last_verb: str = ""
    _commands: int = 0
    _delivered: int = 0
    _counted_in: int = 0
    _counted_out: int = 0
    _state: str = ""
    """In which `opened` counted it; empty until then."""
    _began: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        self.log = SessionLog(self.session_id, self.listener)
        self._sessions = sessions_of(self.listener)
        facts = {"session": self.session_id, "listener": self.listener}
        self.trace = TransactionTrace(self.tracer, "LMTP transaction", self.log.traced, **facts)

    def opened(self) -> None:
        """The connection is made."""
        self._state = "open"
        self._sessions.states[self._state](1)

    def answered(self, replies: Sequence[Answered], seconds: float, octets_out: int) -> None:
        """These replies were given; the last one took `seconds`. `octets_out` are all that were sent so far."""
        if self.octets_in - self._counted_in > MANY_OCTETS:
            self._count_octets(octets_out)
        for reply in replies:
            if reply.verb:
                metrics.lmtp_command(reply.verb, reply.code, seconds)
                self.last_verb = reply.verb
            if reply.code == DONE and reply.verb in AFRESH:
                self.trace.ended()
        self._commands += len(replies)

    def refused(self, address: str, refusal: Refusal) -> None:
        """A recipient was refused before any text."""
        self._refused("recipient refused", refusal, recipient=address)
        metrics.delivered(refusal.reason.value, 0)
        self._tell(refusal, "", address if refusal.reason in OF_AN_ACCOUNT else "")

    def text_refused(self, envelope: Envelope, refusal: Refusal) -> None:
        """A text was refused before it came, and with it each of its recipients."""
        self._refused("text refused", refusal)
        for recipient in envelope.recipients:
            metrics.delivered(refusal.reason.value, 0)
            self._tell(refusal, recipient.tenant, recipient.address)
        self.trace.ended(recipients=len(envelope.recipients), stored=0)

    def delivered(self, envelope: Envelope, transaction: Transaction, outcomes: Sequence[Refusal | None]) -> None:
        """A text came to its end: one outcome for each recipient. The id is the one in its Received line."""
        octets = transaction.octets
        stored = sum(refusal is None for refusal in outcomes)
        self.trace.ended(recipients=len(outcomes), stored=stored, octets=octets)
        text: dict[str, str | int] = {"id": transaction.identifier, "sender": envelope.reverse_path, "octets": octets}
        for recipient, refusal in zip(envelope.recipients, outcomes, strict=True):
            metrics.delivered(refusal.reason.value if refusal else "stored", octets)
            whose = {"tenant": recipient.tenant, "address": recipient.address}
            if refusal is None:
                self._delivered += 1
                self.log.delivered(_members(recipient, envelope, transaction))
            else:
                self._refused("not delivered", refusal, **whose, **text)
                self._tell(refusal, **whose)

    def ended(self, peer: Peer, ending: Ending, octets_out: int) -> None:
        """The connection is gone: the one line of the session, and its metrics."""
        seconds, end = time.monotonic() - self._began, ending.value
        self.trace.ended(end=end)
        if self._state:
            self._sessions.states[self._state](-1)
        self._sessions.seconds[end](seconds)
        self._count_octets(octets_out)
        counts = (
            f'"seconds":{seconds:.3f},"commands":{self._commands},"delivered":{self._delivered},'
            f'"octets_in":{self.octets_in},"octets_out":{octets_out}'
        )
        silent = not self.octets_in and ending is Ending.VANISHED
        self.log.ended(f"{line_of('lmtp', peer, end)},{counts}", silent)

    def _count_octets(self, octets_out: int) -> None:
        """Count what came and went since the last time."""
        self._sessions.received(self.octets_in - self._counted_in)
        self._sessions.sent(octets_out - self._counted_out)
        self._counted_in, self._counted_out = self.octets_in, octets_out

    def _tell(self, refusal: Refusal, tenant: str, address: str) -> None:
        event = Event(
            Kind.DELIVERY_REFUSAL,
            session=self.session_id,
            protocol="lmtp",
            listener=self.listener,
            client=self.client,
            tenant=tenant,
            address=address,
            reason=refusal.reason.value,
        )
        self.events.tell(event)

    def _refused(self, event: str, refusal: Refusal, **facts: object) -> None:
        spans.refused(refusal)
        tell = self.log.warning if refusal.reason in FAULTS else self.log.info
        tell(event, **facts, reason=refusal.reason.value, cause=refusal.cause)


def _members(recipient: Recipient, envelope: Envelope, transaction: Transaction) -> str:
    """Of the line that says that a message was stored for `recipient`."""
    whose = f'"tenant":{quoted(recipient.tenant)},"address":{quoted(recipient.address)}'
    sender = quoted(envelope.reverse_path)
    return f'{whose},"id":"{transaction.identifier}","sender":{sender},"octets":{transaction.octets}'
