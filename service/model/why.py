"""Why a login was refused, as staff are told; the client hears far less (G13).

Owns the closed set. Refuses to be seen on the wire: a `Reason` decides what the client is answered.
"""

from enum import Enum


class Why(Enum):
    """One cause; events carry its value, and `poplar maildrop explain` says what to do about it."""

    UNKNOWN_NAME = "unknown_name"
    WRONG_SECRET = "wrong_secret"  # noqa: S105 - a word for it
    UNUSABLE_SECRET = "unusable_secret"  # noqa: S105 - a word for it
    """A password that none can be: empty, too long, not UTF-8 or with characters that RFC 4013 prohibits."""
    NO_PROOF = "no_proof"
    """The exchange came to no proof: it was given up or broke its mechanism's rules."""
    SUSPENDED = "suspended"
    NOT_FOR_ANOTHER = "not_for_another"
    """An authorization identity that the name may not act for (RFC 4616 §2)."""
    POLICY = "policy"
    """POP3 off, a mechanism or a network that the policy doesn't allow."""
    BLOCKED = "blocked"
    """Too many failures lately, of the client's address or of the account."""
    IN_USE = "in_use"
    LOGIN_DELAY = "login_delay"
    TOO_MANY_SESSIONS = "too_many_sessions"
    UNAVAILABLE = "unavailable"
    OVERLOADED = "overloaded"
    DRAINING = "draining"
    OTHER = "other"
