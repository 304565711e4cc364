"""The in-memory twin of the tokens.

Owns the same answers as `stores.postgres.tokens`. Refuses to await anything, so that each act is one transaction.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from uuid import uuid4

from service.mail.tokens import KeptToken, NewToken
from service.model.refusal import Reason, Refusal
from service.model.tenancy import AuditEntry
from service.model.token import SERVICE, TokenKey, TokenView
from service.stores.memory.state import REMOVED, MemoryState
from service.stores.memory.tenancy.rows import tenant_row


class MemoryTokens:
    """Implements `mail.tokens.Tokens`."""

    def __init__(self, state: MemoryState) -> None:
        self._state = state
        self._kept: dict[TokenKey, KeptToken] = {}

    async def create(self, actor: str, token: NewToken) -> TokenView:
        """Keep a new token. Raises Refusal: NOT_FOUND, EXISTS."""
        tenant_id = SERVICE if token.tenant is None else tenant_row(self._state, token.tenant).tenant_id
        if self._named(token.tenant, token.name) is not None:
            raise Refusal(Reason.EXISTS, f"there is a token {token.name} already")
        key = TokenKey(tenant_id, uuid4())
        view = TokenView(key, token.name, token.scope, token.tenant, datetime.now(UTC), token.expires)
        self._kept[key] = KeptToken(view, token.digest)
        detail = {"scope": token.scope.value, "expires": token.expires and token.expires.isoformat()}
        self._record(actor, view, "token.create", detail)
        return view

    async def find(self, key: TokenKey) -> KeptToken | None:
        """The token, or None."""
        return self._kept.get(key) if self._reachable(key) else None

    async def named(self, tenant: str | None, name: str) -> TokenView | None:
        """The token in force of this name, or None."""
        return self._named(tenant, name)

    async def page(self, after: TokenKey | None, limit: int) -> Sequence[TokenView]:
        """All tokens by tenant and id."""
        views = sorted((kept.view for kept in self._kept.values() if self._reachable(kept.view.key)), key=_order)
        return [view for view in views if after is None or _order(view) > (after.tenant_id, after.token_id)][:limit]

    async def replace(self, actor: str, key: TokenKey, digest: bytes, expires: datetime | None) -> None:
        """Put another secret's digest. Raises Refusal(NOT_FOUND)."""
        view = replace(self._in_force(key), expires=expires)
        self._kept[key] = KeptToken(view, digest)
        self._record(actor, view, "token.rotate", {})

    async def revoke(self, actor: str, key: TokenKey) -> None:
        """Raises Refusal(NOT_FOUND)."""
        view = replace(self._in_force(key), revoked=datetime.now(UTC))
        self._kept[key] = KeptToken(view, self._kept[key].digest)
        self._record(actor, view, "token.revoke", {})

    async def used(self, key: TokenKey, moment: datetime) -> None:
        """Keep when it was last used."""
        kept = self._kept[key]
        latest = max(moment, kept.view.last_used or moment)
        self._kept[key] = KeptToken(replace(kept.view, last_used=latest), kept.digest)

    def _named(self, tenant: str | None, name: str) -> TokenView | None:
        views = (kept.view for kept in self._kept.values() if self._reachable(kept.view.key))
        return next((v for v in views if (v.tenant, v.name) == (tenant, name) and v.revoked is None), None)

    def _in_force(self, key: TokenKey) -> TokenView:
        kept = self._kept.get(key)
        if kept is None or kept.view.revoked is not None:
            raise Refusal(Reason.NOT_FOUND, f"there is no token {key.token_id}")
        return kept.view

    def _reachable(self, key: TokenKey) -> bool:
        tenant = self._state.tenants.get(key.tenant_id)
        return key.tenant_id == SERVICE or (tenant is not None and tenant.status != REMOVED)

    def _record(self, actor: str, view: TokenView, action: str, detail: Mapping[str, object]) -> None:
        entry = AuditEntry(datetime.now(UTC), actor, action, view.name, detail)
        self._state.audit.append((view.key.tenant_id, entry))


def _order(view: TokenView) -> tuple[object, ...]:
    return view.key.tenant_id, view.key.token_id
