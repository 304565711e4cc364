"""The closed set of reasons for which Poplar refuses.

A port or a use case raises `Refusal(reason, cause)`; only `protocol/pop3/responses.py`
and `protocol/lmtp/replies.py` turn a reason into bytes. The cause is private: it goes to
the log, never to the wire (design.md §9).
"""

from collections.abc import Mapping
from enum import Enum
from types import MappingProxyType

from service.model.account import Account
from service.model.why import Why


class Reason(Enum):
    """Why something was refused. Adding a member obliges both response tables to name it."""

    CREDENTIALS = "credentials"
    """Unknown name, wrong password, suspended, not allowed by policy: one reason, so that none shows (G13)."""
    IN_USE = "in_use"
    """Another session holds the maildrop (RFC 2449 §8.1.2)."""
    LOGIN_DELAY = "login_delay"
    """Logged in again too soon (RFC 2449 §8.1.1)."""
    TOO_MANY_SESSIONS = "too_many_sessions"
    """The tenant, or the client's address with it, has as many sessions as its policy allows: transient."""
    DAY_USED_UP = "day_used_up"
    """The maildrop retrieved as many octets as its policy allows in a day: transient."""
    UNAVAILABLE = "unavailable"
    """Another system is down, slow or unreachable: transient (RFC 3206 §4, SYS/TEMP)."""
    OVERLOADED = "overloaded"
    """This process sheds load: transient."""
    DRAINING = "draining"
    """This process is shutting down: transient, another one answers."""
    LOST = "lost"
    """The session lost its maildrop to a newer one (G4, G5); nothing was removed."""
    UNKNOWN_OUTCOME = "unknown_outcome"
    """The removal may or may not have happened: all or none (G3)."""
    BROKEN = "broken"
    """A stored message is missing or corrupt: needs a person (RFC 3206 §4, SYS/PERM)."""
    NO_RECIPIENT = "no_recipient"
    """No such address here (LMTP 550 5.1.1)."""
    SUSPENDED = "suspended"
    """The recipient's tenant or maildrop is suspended (LMTP 4xx)."""
    OVER_QUOTA = "over_quota"
    """The maildrop is full (LMTP 452 4.2.2)."""
    NEVER_FITS = "never_fits"
    """The message is larger than the maildrop's whole quota (LMTP 552 5.2.2)."""
    TOO_BIG = "too_big"
    """The message exceeds the service's limit (LMTP 552 5.3.4)."""
    NOT_FOUND = "not_found"
    """Provisioning: the named thing does not exist."""
    EXISTS = "exists"
    """Provisioning: the name is taken."""
    INVALID = "invalid"
    """Provisioning: the value breaks an invariant."""


FAULTS = frozenset(
    {Reason.UNAVAILABLE, Reason.OVERLOADED, Reason.LOST, Reason.UNKNOWN_OUTCOME, Reason.BROKEN, Reason.INVALID}
)
"""Reasons that whoever runs the service should hear of; the others are a client's or a sender's own business."""


_WHY: Mapping[Reason, Why] = MappingProxyType(
    {
        Reason.CREDENTIALS: Why.WRONG_SECRET,
        Reason.IN_USE: Why.IN_USE,
        Reason.LOGIN_DELAY: Why.LOGIN_DELAY,
        Reason.TOO_MANY_SESSIONS: Why.TOO_MANY_SESSIONS,
        Reason.UNAVAILABLE: Why.UNAVAILABLE,
        Reason.OVERLOADED: Why.OVERLOADED,
        Reason.DRAINING: Why.DRAINING,
    }
)


class Refusal(Exception):
    """A request was refused for `reason`; `cause` is private text for the log, `why` is private too.

    After a `final` one the connection is closed as well; `wait` seconds after one that has them, try again.
    """

    def __init__(
        self,
        reason: Reason,
        cause: str = "",
        why: Why | None = None,
        *,
        wait: float | None = None,
        final: bool = False,
    ) -> None:
        super().__init__(f"{reason.value}: {cause}" if cause else reason.value)
        self.reason = reason
        self.cause = cause
        self.why = why or _WHY.get(reason, Why.OTHER)
        self.wait = wait
        """Seconds after which to try again, where that is known."""
        self.final = final
        self.account: Account | None = None
        """Whose login was refused, as far as that was known by then."""
