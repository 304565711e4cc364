"""Bearer tokens of the HTTP API: made, shown once, rotated, revoked, and asked for at each request.

Owns the port `Tokens` and that a secret is kept as its SHA-256 alone: with 256 random bits no slow hash is needed.
Refuses to tell an unknown token from a wrong, revoked or expired one.
RFC 6750 §5.2 (tokens are short-lived, scoped and kept from logs).
"""

import hashlib
import hmac
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from service.mail.naming import found, plainly
from service.mail.ports import Clock
from service.model.refusal import Reason, Refusal
from service.model.tenancy import check_ends
from service.model.token import SECRET_OCTETS, Scope, TokenKey, TokenView, parse_token, parse_token_name, token_text

USE_KEPT_EVERY = timedelta(minutes=1)
"""A use within this time of the last one that was kept isn't written again."""


@dataclass(frozen=True, slots=True)
class KeptToken:
    """A token as it is kept."""

    view: TokenView
    digest: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class NewToken:
    """A token to keep; `tenant` is None for the whole service."""

    tenant: str | None
    name: str
    scope: Scope
    digest: bytes = field(repr=False)
    expires: datetime | None = None


class Tokens(Protocol):
    """The tokens, each by its key; every change writes its audit row in the same transaction."""

    async def create(self, actor: str, token: NewToken) -> TokenView:
        """Raises Refusal: NOT_FOUND (no such tenant), EXISTS (a token in force has the name)."""

    async def find(self, key: TokenKey) -> KeptToken | None:
        """The token, or None; one of a removed tenant is not there."""

    async def named(self, tenant: str | None, name: str) -> TokenView | None:
        """The token in force of this name, or None."""

    async def page(self, after: TokenKey | None, limit: int) -> Sequence[TokenView]:
        """All tokens, revoked ones too, by tenant and id."""

    async def replace(self, actor: str, key: TokenKey, digest: bytes, expires: datetime | None) -> None:
        """Have another secret open it from now on. Raises Refusal(NOT_FOUND), also when it is revoked."""

    async def revoke(self, actor: str, key: TokenKey) -> None:
        """Raises Refusal(NOT_FOUND), also when it is revoked already."""

    async def used(self, key: TokenKey, moment: datetime) -> None:
        """Keep when it was last used."""


@dataclass(frozen=True, slots=True)
class Issued:
    """A token and its text, which nobody can show again."""

    view: TokenView
    text: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class TokenOffice:
    """What is done with tokens."""

    tokens: Tokens
    clock: Clock

    async def admit(self, text: str) -> TokenView:
        """The token in force whose text this is. Raises Refusal: CREDENTIALS, UNAVAILABLE."""
        try:
            key, secret = parse_token(text)
        except ValueError:
            raise Refusal(Reason.CREDENTIALS, "not a token") from None
        kept = await self.tokens.find(key)
        if kept is None or not hmac.compare_digest(kept.digest, _digest(secret)):
            raise Refusal(Reason.CREDENTIALS, "no such token")
        if not kept.view.holds_at(now := self.clock.now()):
            raise Refusal(Reason.CREDENTIALS, f"token {kept.view.name} is revoked or expired")
        if kept.view.last_used is None or now - kept.view.last_used >= USE_KEPT_EVERY:
            await self.tokens.used(key, now)
        return kept.view

    async def issue(
        self, actor: str, name: str, scope: Scope, tenant: str | None = None, expires: datetime | None = None
    ) -> Issued:
        """A new token; `tenant` is given for the scope of one. Raises Refusal: INVALID, NOT_FOUND, EXISTS."""
        with plainly():
            parse_token_name(name)
            check_ends("token", expires, self.clock.now())
            if (scope is Scope.TENANT) != (tenant is not None):
                raise ValueError("a token of scope tenant names its tenant, and no other token does")
        secret = secrets.token_bytes(SECRET_OCTETS)
        view = await self.tokens.create(actor, NewToken(tenant, name, scope, _digest(secret), expires))
        return Issued(view, token_text(view.key, secret))

    async def rotate(self, actor: str, view: TokenView, expires: datetime | None = None) -> Issued:
        """Another secret for the token; the old one opens nothing from now on, and its end stays unless one is given.

        Raises Refusal: INVALID, NOT_FOUND.
        """
        ends = expires or view.expires
        with plainly():
            check_ends("token", ends, self.clock.now())
        secret = secrets.token_bytes(SECRET_OCTETS)
        await self.tokens.replace(actor, view.key, _digest(secret), ends)
        kept = found(await self.tokens.find(view.key), f"there is no token {view.name}")
        return Issued(kept.view, token_text(view.key, secret))

    async def named(self, tenant: str | None, name: str) -> TokenView:
        """The token in force of this name. Raises Refusal(NOT_FOUND)."""
        return found(await self.tokens.named(tenant, name), f"there is no token {name}")


def _digest(secret: bytes) -> bytes:
    return hashlib.sha256(secret).digest()
