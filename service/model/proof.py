"""What a client offers to show who it is.

Owns the shapes that protocols make and the login verifies. Refuses to know how either is done.
RFC 4616 §2, RFC 1939 §7.
"""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Password:
    """A claimed name and its password, both prepared (RFC 4013). The secret may reach no log (G17)."""

    name: str
    secret: str = field(repr=False)
    authzid: str = ""
    """Whom to act for; empty for the name itself."""


Proof = Password
