"""What an LMTP session remembers between commands.

Owns the transaction and the text that is coming in. Refuses to know verbs, replies' wording and bytes.
RFC 5321 §4.1.4 (order of commands), RFC 2033 §4.2, RFC 3848 (keywords of the trace).
"""

from dataclasses import dataclass, field

from service.model.account import Recipient
from service.model.envelope import Envelope
from service.model.refusal import Reason
from service.protocol.lmtp.data import Framing
from service.protocol.lmtp.effects import Abandon


@dataclass(frozen=True, slots=True)
class Terms:
    """What the service offers. `starttls`: a certificate is loaded and the listener permits it."""

    host: str
    max_octets: int = 100 * 1024 * 1024
    max_recipients: int = 100
    max_tenants: int = 8
    """Distinct tenants in one transaction: the text is stored once for each, at the same time.

    Deviates: RFC 5321 §4.5.3.1.8 has 100 recipients accepted. Recipients of one tenant are; of a ninth tenant they get
    452 and come in another transaction, as memory is bounded (G15).
    """
    starttls: bool = False


@dataclass(slots=True)
class Mail:
    """One transaction, from MAIL to the end of its text."""

    reverse_path: str
    utf8: bool
    declared_octets: int | None = None
    recipients: list[Recipient] = field(default_factory=list)
    begun: bool = False
    """Whether text was announced to the world by `Begin`; then it must hear `Deliver` or `Abandon`."""
    chunked: bool = False
    """Whether BDAT was used."""
    octets: int = 0
    refused: Reason | None = None
    """Why the rest of the text is dropped."""

    def tenants_with(self, recipient: Recipient) -> int:
        """How many distinct tenants there are once `recipient` is added."""
        return len({known.key.tenant_id for known in (*self.recipients, recipient)})


@dataclass(slots=True)
class Incoming:
    """Text that follows in the stream. `final`: the transaction ends with it, as with DATA and BDAT LAST."""

    verb: str
    framing: Framing
    final: bool


@dataclass(slots=True)
class State:
    """The whole memory of a session, beside its buffer."""

    terms: Terms
    secure: bool
    client_name: str | None = None
    mail: Mail | None = None
    incoming: Incoming | None = None

    def reset(self) -> Abandon | None:
        """Forget the transaction; what the world must be told."""
        mail, self.mail = self.mail, None
        return Abandon() if mail is not None and mail.begun else None

    def envelope(self, mail: Mail) -> Envelope:
        """The facts of `mail` for the world."""
        # RFC 3848 §1: "LMTPS" stands for LMTP over TLS; RFC 6531 §4.3 puts "UTF8" before both where SMTPUTF8 was given.
        keyword = ("UTF8" if mail.utf8 else "") + "LMTP" + ("S" if self.secure else "")
        client_name, recipients = self.client_name or "unknown", tuple(mail.recipients)
        return Envelope(mail.reverse_path, recipients, client_name, keyword, mail.declared_octets)
