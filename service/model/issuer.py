"""Who may vouch for a tenant's users: an issuer of tokens, and on which terms its tokens are taken.

Owns the terms and what they may be. Refuses to know how a token is verified, and to show a client's secret.
RFC 8414 §2 (an issuer's URL and what it publishes), RFC 7518 §3.1 (algorithms), RFC 7662 §2 (introspection).
"""

import ipaddress
import re
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from urllib.parse import SplitResult, urlsplit
from uuid import UUID

from service.model.account import Status

# RFC 8725 §3.1: only what is named here is ever performed. No `none`, and no HMAC: an issuer's public key is public.
ALGORITHMS = (*("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519"),)
MOST_AUDIENCES = 16
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_TEXT = re.compile(r"[\x21-\x7e]{1,500}")
_URL = re.compile(r"[\x21-\x7e]{1,1000}")


class Method(Enum):
    """How a token is verified."""

    JWKS = "jwks"
    """It is a JWT, signed with one of the keys that the issuer publishes."""
    INTROSPECTION = "introspection"
    """The issuer is asked."""


@dataclass(frozen=True, slots=True)
class IssuerTerms:
    """On which terms an issuer's tokens are taken."""

    url: str
    """What `iss` must say, octet for octet."""
    audiences: tuple[str, ...]
    """One of them must be in `aud`."""
    method: Method = Method.JWKS
    algorithms: tuple[str, ...] = ("RS256", "ES256")
    mail_claim: str = "email"
    """The claim that holds the maildrop's address."""
    verified_mail: bool = True
    """Whether `email_verified` must say that the claim `email` was verified; of other claims nobody says so."""
    scope: str = ""
    """A scope that a token must have; empty for none."""
    jwks_uri: str = ""
    """Where the keys are; empty to read it of what the issuer publishes about itself."""
    introspection_endpoint: str = ""
    """Whom to ask; empty likewise."""
    client_id: str = ""
    """As whom Poplar asks."""


@dataclass(frozen=True, slots=True)
class Issuer:
    """An issuer that one tenant trusts, as a login needs it."""

    tenant_id: UUID
    issuer_id: UUID
    name: str
    terms: IssuerTerms
    client_secret: str = field(default="", repr=False)
    """With which Poplar asks; it may reach no log (G17)."""


@dataclass(frozen=True, slots=True)
class NewIssuer:
    """An issuer as it is to be kept; `client_secret` None keeps the one that is there."""

    name: str
    terms: IssuerTerms
    status: Status = Status.ACTIVE
    client_secret: str | None = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class IssuerView:
    """An issuer as staff see it: without its secret."""

    name: str
    tenant: str
    status: Status
    created: datetime
    terms: IssuerTerms
    secret_set: datetime | None = None
    """When the client's secret was last set; None where there is none."""


def check_issuer(issuer: NewIssuer) -> None:
    """Raises ValueError that says in plain words what an issuer can't be."""
    terms = issuer.terms
    if not _NAME.fullmatch(issuer.name):
        raise ValueError("an issuer's name has 1 to 63 of a-z, 0-9 and -")
    # RFC 8414 §2: the identifier is "a URL that uses the "https" scheme and has no query or fragment components."
    if _url(terms.url, "url").query:
        raise ValueError("url has no query")
    for name in ("jwks_uri", "introspection_endpoint"):
        if getattr(terms, name):
            _url(getattr(terms, name), name)
    if not 1 <= len(terms.audiences) <= MOST_AUDIENCES or not all(map(_TEXT.fullmatch, terms.audiences)):
        raise ValueError(f"there are 1 to {MOST_AUDIENCES} audiences, without spaces")
    if not terms.algorithms or not set(terms.algorithms) <= set(ALGORITHMS):
        raise ValueError(f"algorithms are some of {', '.join(ALGORITHMS)}")
    for name, value in (("mail_claim", terms.mail_claim), ("scope", terms.scope or "x")):
        if not _TEXT.fullmatch(value):
            raise ValueError(f"{name} is one word")
    _check_client(issuer)


def _check_client(issuer: NewIssuer) -> None:
    for name, value in (("client_id", issuer.terms.client_id), ("client_secret", issuer.client_secret or "")):
        if len(value) > 500 or not value.isprintable():
            raise ValueError(f"{name} has at most 500 printable characters")
    if issuer.terms.method is Method.INTROSPECTION and not issuer.terms.client_id:
        raise ValueError("introspection needs a client_id")


def _url(text: str, name: str) -> SplitResult:
    """The URL's parts. Raises ValueError unless it is https, or http on this machine, and nothing is hidden in it."""
    try:
        parts = urlsplit(text)
        usable = bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        usable = False
    if not usable or not _URL.fullmatch(text) or parts.fragment or "@" in parts.netloc:
        raise ValueError(f"{name} is no URL")
    if parts.scheme != "https" and not is_plain_on_loopback(text):
        raise ValueError(f"{name} begins with https://")
    return parts


def is_plain_on_loopback(url: str) -> bool:
    """Whether the URL is of http and goes to this machine: where nobody listens between, if a setting allows it."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        return False
    if parts.scheme != "http":
        return False
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
