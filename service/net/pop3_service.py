"""What every POP3 connection of a process shares: use cases, budgets, deadlines, announcements.

Owns nothing but the grouping, so that a connection is made from one value. Refuses to know vendors:
`app` builds it.
"""

import ssl
from collections.abc import Callable
from dataclasses import dataclass, field

from service.mail.allowances import Allowances
from service.mail.budget import Budget
from service.mail.events import Events, Unheard
from service.mail.fairness import Fairness
from service.mail.login import Login
from service.mail.maildrop import OpenMaildrop
from service.mail.ports import MessageIndex
from service.mail.prefetch import Limits
from service.mail.retrieval import Retrieval
from service.mail.scram import ScramChallenges
from service.mail.update import Update
from service.model.listing import Listing
from service.model.policy import Announced
from service.net.conversation import Patience
from service.net.peer import Peer
from service.net.pop3_offer import Offer
from service.protocol.pop3.capabilities import Surroundings
from service.telemetry.spans import Tracer, Untraced


@dataclass(frozen=True, slots=True)
class Pop3Options:
    """How connections behave; seconds and octets."""

    autologout: float = 600.0
    stall: float = 300.0
    handshake: float = 30.0
    failure_delay: float = 1.0
    """How long a refused login waits for its answer; the same for every credential refusal (G13)."""
    buffered: int = 256 * 1024
    """Octets held for a logged-in client in each direction before its socket is no longer read or its store asked."""
    buffered_stranger: int = 16 * 1024
    """The same for a client that isn't logged in: ten thousand strangers must fit in memory (G15)."""
    login_failures: int = 3
    utf8_listed: bool = False
    implementation: str = "Poplar"
    patience: Patience = field(init=False)
    """That of all connections with these options: one value, which each of them keeps."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "patience", Patience(self.autologout, self.stall, self.handshake))


@dataclass(frozen=True, slots=True)
class Pop3Service:
    """The use cases and what bounds them."""

    login: Login
    update: Update
    index: MessageIndex
    retrieval: Retrieval
    allowances: Allowances
    """What is counted against a policy's octets of the day."""
    ahead: Limits
    memory: Budget
    """Octets of messages on their way to clients, all sessions together."""
    listings: Budget
    """Octets of listings held, all sessions together."""
    announced: Callable[[], Announced]
    """What CAPA announces before login, as last read."""
    tls: ssl.SSLContext | None
    options: Pop3Options
    listed: Callable[[OpenMaildrop, Listing], None] = lambda _held, _listing: None
    """Told of each listing that a session loaded."""
    scram: ScramChallenges | None = None
    """What SCRAM-SHA-256 needs; None where it isn't offered."""
    events: Events = field(default_factory=Unheard)
    """Where logins, refusals, removals and ends are told."""
    spare: Retrieval | None = None
    """Reads what no client waits for yet, where that is told apart."""
    fairness: Fairness = field(default_factory=Fairness)
    offer: Offer = field(default_factory=Offer)
    """Which mechanisms there are besides passwords."""
    tracer: Tracer = field(default_factory=Untraced)
    """Begins the trace of each session."""

    def surroundings(self, peer: Peer) -> Surroundings:
        """What a session of `peer` may know and offer now."""
        mechanisms, outside = self.offer.to(peer)
        return Surroundings(
            private=peer.private,
            may_start_tls=peer.may_start_tls and self.tls is not None,
            announced=self.announced(),
            utf8_listed=self.options.utf8_listed,
            implementation=self.options.implementation,
            login_failures=self.options.login_failures,
            mechanisms=mechanisms,
            outside=outside,
        )
