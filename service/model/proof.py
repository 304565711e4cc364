"""What a client offers to show who it is.

Owns the shapes that protocols make and the login verifies. Refuses to know how either is done.
RFC 4616 §2, RFC 1939 §7, RFC 5802 §3, RFC 7628 §3.1, RFC 4422 §3.
"""

from dataclasses import dataclass, field

from service.model.scram import ScramKeys


@dataclass(unsafe_hash=True, slots=True)
class Password:
    """A claimed name and its password, which is prepared (RFC 4013). The secret may reach no log (G17).

    One that isn't `usable` couldn't be prepared: its secret is what the client sent, octets that are no UTF-8 as lone
    surrogates. It serves to be known again alone: nothing is ever compared with it and nobody is asked about it.

    Nobody changes one. It isn't frozen, as each session makes one, which would take more than twice as long.
    """

    name: str
    secret: str = field(repr=False)
    authzid: str = ""
    """Whom to act for; empty for the name itself."""
    usable: bool = True


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


@dataclass(frozen=True, slots=True)
class BearerProof:
    """A claimed name and the token that an issuer gave for it. The token may reach no log (G17)."""

    name: str
    token: str = field(repr=False)
    authzid: str = ""
    """Always empty: the name is the one to act for, and the token must be its own."""


@dataclass(frozen=True, slots=True)
class CertificateProof:
    """A claimed name, and the addresses in the certificate with which TLS was negotiated."""

    name: str
    certified: tuple[str, ...]
    authzid: str = ""
    """Always empty: the name is the one to act for, and the certificate must hold it."""


Proof = Password | ScramProof | BearerProof | CertificateProof
