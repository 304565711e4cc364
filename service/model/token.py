"""Bearer tokens of the HTTP API: what one may do, and how its text names and proves it.

Owns the scopes, their rights, and the text: a prefix that secret scanners find, then tenant, id and secret. Refuses to
make random numbers, to hash, and to know where tokens are kept. RFC 6750 §2.1 (a token's characters).
"""

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from types import MappingProxyType
from uuid import UUID

SERVICE = UUID(int=0)
"""Stands for the tenant where a token is for the whole service."""
SECRET_OCTETS = 32
PREFIX = "poplar_"
_TEXT_OCTETS = 16 + 16 + SECRET_OCTETS
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


class Scope(Enum):
    """For whom a token is."""

    FULL = "full"
    READ_ONLY = "read-only"
    SUPPORT = "support"
    TENANT = "tenant"


class Right(Enum):
    """What an operation needs."""

    READ = "read"
    OVERSEE = "oversee"
    """See what belongs to no tenant."""
    ASSIST = "assist"
    """End a session, restore messages."""
    MANAGE = "manage"
    """Change what stands in a tenant."""
    PROVIDE = "provide"
    """Change tenants, who owns which domain, and tokens."""


RIGHTS: Mapping[Scope, frozenset[Right]] = MappingProxyType(
    {
        Scope.FULL: frozenset(Right),
        Scope.READ_ONLY: frozenset({Right.READ, Right.OVERSEE}),
        Scope.SUPPORT: frozenset({Right.READ, Right.OVERSEE, Right.ASSIST}),
        Scope.TENANT: frozenset({Right.READ, Right.ASSIST, Right.MANAGE}),
    }
)


@dataclass(frozen=True, slots=True)
class TokenKey:
    """Names one token; `tenant_id` is SERVICE for the whole service."""

    tenant_id: UUID
    token_id: UUID

    @property
    def id(self) -> str:
        """The token's id, as the API's paths have it: its tenant's, unless it is for the service, and its own."""
        return self.token_id.hex if self.tenant_id == SERVICE else f"{self.tenant_id.hex}.{self.token_id.hex}"


@dataclass(frozen=True, slots=True)
class TokenView:
    """A token without its secret."""

    key: TokenKey
    name: str
    scope: Scope
    tenant: str | None
    created: datetime
    expires: datetime | None = None
    last_used: datetime | None = None
    revoked: datetime | None = None

    @property
    def bound_to(self) -> UUID | None:
        """The only tenant it reaches, or None."""
        return self.key.tenant_id if self.scope is Scope.TENANT else None

    @property
    def actor(self) -> str:
        """How the audit names who used it: two tenants' tokens may have one name, and a provider's too."""
        return f"token:{self.name}" if self.tenant is None else f"token:{self.tenant}/{self.name}"

    def may(self, right: Right) -> bool:
        """Whether its scope holds this right."""
        return right in RIGHTS[self.scope]

    def holds_at(self, moment: datetime) -> bool:
        """Whether it is neither revoked nor over at this moment."""
        return self.revoked is None and (self.expires is None or moment < self.expires)


def parse_token_name(text: str) -> str:
    """The token's name in `text`. Raises ValueError when it isn't one."""
    if not _NAME.fullmatch(text):
        raise ValueError("a token's name has 1 to 64 of a-z, 0-9, '.', '_' and '-', and begins with a letter or digit")
    return text


def token_text(key: TokenKey, secret: bytes) -> str:
    """What its holder presents."""
    return PREFIX + base64.urlsafe_b64encode(key.tenant_id.bytes + key.token_id.bytes + secret).decode().rstrip("=")


def parse_token(text: str) -> tuple[TokenKey, bytes]:
    """The key and the secret in a token's text. Raises ValueError when it isn't one."""
    try:
        octets = base64.b64decode(text.removeprefix(PREFIX) + "==", altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError("not a token") from error
    if len(octets) != _TEXT_OCTETS:
        raise ValueError("not a token")
    key = TokenKey(UUID(bytes=octets[:16]), UUID(bytes=octets[16:32]))
    if token_text(key, octets[32:]) != text:
        raise ValueError("not a token")
    return key, octets[32:]
