"""What a tenant or maildrop is allowed and what is announced to its clients.

Owns the values and their meaning; refuses to know where they are kept.
RFC 2449 §6.5 (LOGIN-DELAY), §6.7 (EXPIRE).
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Policy:
    """The effective policy of one maildrop: its tenant's values, overridden by its own."""

    login_delay: int = 0
    """Seconds that must pass between two logins; 0 for none (RFC 2449 §6.5)."""
    expire_days: int | None = None
    """Days after which a message is removed by the service; None for never (RFC 2449 §6.7)."""
    quota_octets: int | None = None
    """Octets the maildrop may hold; None for no limit."""
    quota_messages: int | None = None
    """Messages the maildrop may hold; None for no limit."""


@dataclass(frozen=True, slots=True)
class Announced:
    """What CAPA says before login, when the maildrop isn't known yet.

    RFC 2449 §6.5: "the largest value which could be set for any user", and `varies` tells that the true one is
    announced after login; §6.7: the smallest retention, likewise.
    """

    login_delay: int = 0
    login_delay_varies: bool = False
    expire_days: int | None = None
    expire_varies: bool = False
