"""What every LMTP connection of a process shares: the use case, the terms and the deadlines.

Owns nothing but the grouping, so that a connection is made from one value. Refuses to know vendors:
`app` builds it.
"""

import ssl
from dataclasses import dataclass, field

from service.mail.delivery import Delivery
from service.mail.events import Events, Unheard
from service.mail.long_texts import LongTexts
from service.mail.pace import Pace
from service.protocol.lmtp.state import Terms
from service.telemetry.spans import Tracer, Untraced


@dataclass(frozen=True, slots=True)
class LmtpOptions:
    """How connections behave; seconds and octets."""

    idle: float = 300.0
    """RFC 5321 §4.5.3.2.7: "An SMTP server SHOULD have a timeout of at least 5 minutes while it is awaiting the next
    command from the sender.\""""
    stall: float = 300.0
    handshake: float = 30.0
    buffered: int = 256 * 1024
    """Octets held for one client in each direction before its socket is no longer read."""


@dataclass(frozen=True, slots=True)
class LmtpService:
    """The use case and what bounds it. `terms.starttls` is decided for each connection."""

    delivery: Delivery
    terms: Terms
    tls: ssl.SSLContext | None = None
    options: LmtpOptions = field(default_factory=LmtpOptions)
    events: Events = field(default_factory=Unheard)
    """Where refused deliveries are told."""
    tracer: Tracer = field(default_factory=Untraced)
    """Begins the trace of each transaction."""
    pace: Pace | None = None
    """The event loop's time, by tenants; None where connections run in the order in which they are ready."""
    long_texts: LongTexts | None = None
    """What holds long texts back where short ones come as well; None where nothing does."""
