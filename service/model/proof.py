"""What a client offers to show who it is.

Owns the shapes that protocols make and the login verifies. Refuses to know how either is done.
RFC 4616 §2, RFC 1939 §7, RFC 5802 §3.
"""

from dataclasses import dataclass, field

from service.model.scram import ScramKeys


@dataclass(frozen=True, slots=True)
class Password:
    """A claimed name and its password, both prepared (RFC 4013). The secret may reach no log (G17)."""

    name: str
    secret: str = field(repr=False)
    authzid: str = ""
    """Whom to act for; empty for the name itself."""


@dataclass(frozen=True, slots=True)
class ScramProof:
    """How a SCRAM exchange for `name` came out, against keys that may have changed since.

    `nonce` is the exchange's own, so that no two are equal.
    """

    name: str
    keys: ScramKeys = field(repr=False)
    valid: bool
    nonce: str
    authzid: str = ""
    """Whom to act for; empty for the name itself."""


Proof = Password | ScramProof
