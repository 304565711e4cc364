"""Tokens of the HTTP API.

Owns the statements on the table `tokens`. Refuses to see a secret: it keeps digests, and the audit gets neither.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from uuid import UUID, uuid4

from service.mail.tenancy import Act
from service.mail.tokens import KeptToken, NewToken
from service.model.refusal import Reason, Refusal
from service.model.token import SERVICE, Scope, TokenKey, TokenView
from service.stores.postgres.database import Database, Row
from service.stores.postgres.errors import in_plain_words
from service.stores.postgres.tenancy.rows import Connection, lock_tenant, record, taken

CREATE = """
INSERT INTO tokens (tenant_id, token_id, name, scope, digest, expires)
VALUES ($1, $2, $3, $4, $5, $6) RETURNING created
"""

VIEW = """
SELECT k.tenant_id, k.token_id, k.name, k.scope, t.name AS tenant, k.created, k.expires, k.last_used, k.revoked,
       k.digest
FROM tokens k LEFT JOIN tenants t ON t.tenant_id = k.tenant_id AND t.status <> 'removed'
WHERE (k.scope <> 'tenant' OR t.name IS NOT NULL)
"""
FIND = VIEW + " AND k.tenant_id = $1 AND k.token_id = $2"
NAMED = VIEW + " AND t.name IS NOT DISTINCT FROM $1 AND k.name = $2 AND k.revoked IS NULL"
PAGE = VIEW + " AND (k.tenant_id, k.token_id) > ($1, $2) ORDER BY k.tenant_id, k.token_id LIMIT $3"
FIRST = VIEW + " ORDER BY k.tenant_id, k.token_id LIMIT $1"

REPLACE = """
UPDATE tokens SET digest = $3, expires = $4
WHERE tenant_id = $1 AND token_id = $2 AND revoked IS NULL RETURNING name
"""
REVOKE = """
UPDATE tokens SET revoked = now() WHERE tenant_id = $1 AND token_id = $2 AND revoked IS NULL RETURNING name
"""
# Two requests at once may bring their moments in either order.
USED = "UPDATE tokens SET last_used = greatest(last_used, $3) WHERE tenant_id = $1 AND token_id = $2"


class PostgresTokens:
    """`mail.tokens.Tokens` on Postgres."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(self, actor: str, token: NewToken) -> TokenView:
        """Keep a new token. Raises Refusal: NOT_FOUND, EXISTS."""
        t, token_id = token, uuid4()
        async with self._transaction() as connection:
            tenant_id = await _tenant_id(connection, t.tenant)
            with taken(f"there is a token {t.name} already"):
                values = (tenant_id, token_id, t.name, t.scope.value, t.digest, t.expires)
                created = await connection.fetchval(CREATE, *values)
            detail = {"scope": t.scope.value, "expires": t.expires and t.expires.isoformat()}
            await record(connection, tenant_id, Act(actor, t.tenant or ""), ("token.create", t.name), detail)
        return TokenView(TokenKey(tenant_id, token_id), t.name, t.scope, t.tenant, created, t.expires)

    async def find(self, key: TokenKey) -> KeptToken | None:
        """The token, or None."""
        rows = await self._database.read(FIND, key.tenant_id, key.token_id)
        return KeptToken(_view(rows[0]), rows[0]["digest"]) if rows else None

    async def named(self, tenant: str | None, name: str) -> TokenView | None:
        """The token in force of this name, or None."""
        rows = await self._database.read(NAMED, tenant, name)
        return _view(rows[0]) if rows else None

    async def page(self, after: TokenKey | None, limit: int) -> Sequence[TokenView]:
        """All tokens by tenant and id."""
        if after is None:
            return [_view(row) for row in await self._database.read(FIRST, limit)]
        return [_view(row) for row in await self._database.read(PAGE, after.tenant_id, after.token_id, limit)]

    async def replace(self, actor: str, key: TokenKey, digest: bytes, expires: datetime | None) -> None:
        """Put another secret's digest. Raises Refusal(NOT_FOUND)."""
        await self._change(actor, key, "token.rotate", REPLACE, digest, expires)

    async def revoke(self, actor: str, key: TokenKey) -> None:
        """Raises Refusal(NOT_FOUND)."""
        await self._change(actor, key, "token.revoke", REVOKE)

    async def used(self, key: TokenKey, moment: datetime) -> None:
        """Keep when it was last used."""
        await self._database.read(USED, key.tenant_id, key.token_id, moment)

    async def _change(self, actor: str, key: TokenKey, action: str, *change: object) -> None:
        statement, *values = change
        async with self._transaction() as connection:
            name = await connection.fetchval(str(statement), key.tenant_id, key.token_id, *values)
            if name is None:
                raise Refusal(Reason.NOT_FOUND, f"there is no token {key.token_id}")
            await record(connection, key.tenant_id, Act(actor, ""), (action, name))

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[Connection]:
        async with self._database.transaction() as connection:
            with in_plain_words():
                yield connection


async def _tenant_id(connection: Connection, tenant: str | None) -> UUID:
    return SERVICE if tenant is None else await lock_tenant(connection, tenant)


def _view(row: Row) -> TokenView:
    key = TokenKey(row["tenant_id"], row["token_id"])
    moments = (row["created"], row["expires"], row["last_used"], row["revoked"])
    return TokenView(key, row["name"], Scope(row["scope"]), row["tenant"], *moments)
