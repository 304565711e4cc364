"""How the acts of staff find, lock and record what they change.

Owns the way from natural names to keys, the audit row, and JSON columns. Refuses to know any act.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TypeAlias
from uuid import UUID

import asyncpg

from service.mail.tenancy import Act
from service.model.account import MaildropKey
from service.model.address import Address
from service.model.refusal import Reason, Refusal
from service.stores.postgres.database import Row

Connection: TypeAlias = "asyncpg.Connection[Row]"

TENANT = "SELECT tenant_id FROM tenants WHERE name = $1 AND status <> 'removed' FOR "

DOMAIN = """
SELECT d.tenant_id FROM tenants t JOIN domains d USING (tenant_id)
WHERE t.name = $1 AND d.name = $2 AND t.status <> 'removed' AND d.status <> 'removed' FOR NO KEY UPDATE OF d
"""

MAILDROP = """
SELECT m.tenant_id, m.maildrop_id FROM tenants t JOIN maildrops m USING (tenant_id)
WHERE t.name = $1 AND m.domain = $2 AND m.local = $3 AND t.status <> 'removed' AND m.status <> 'removed'
"""

RECORD = "INSERT INTO audit (tenant_id, actor, action, target, detail) VALUES ($1, $2, $3, $4, $5)"


async def lock_tenant(connection: Connection, name: str, strength: str = "SHARE") -> UUID:
    """The tenant's id, its row locked. Raises Refusal(NOT_FOUND)."""
    found: UUID | None = await connection.fetchval(TENANT + strength, name)
    if found is None:
        raise Refusal(Reason.NOT_FOUND, f"there is no tenant {name}")
    return found


async def lock_domain(connection: Connection, act: Act, name: str) -> UUID:
    """The id of the tenant, the row of its domain locked: nothing comes or goes there. Raises Refusal(NOT_FOUND)."""
    found: UUID | None = await connection.fetchval(DOMAIN, act.tenant, name)
    if found is None:
        raise Refusal(Reason.NOT_FOUND, f"tenant {act.tenant} has no domain {name}")
    return found


async def lock_maildrop(connection: Connection, act: Act, address: Address) -> MaildropKey:
    """The maildrop's key, its row locked. Raises Refusal(NOT_FOUND)."""
    statement = MAILDROP + " FOR NO KEY UPDATE OF m"
    row = await connection.fetchrow(statement, act.tenant, address.domain, address.local)
    return maildrop_key(row, address)


def maildrop_key(row: Row | None, address: Address) -> MaildropKey:
    """The key in a row of MAILDROP. Raises Refusal(NOT_FOUND) when there is none."""
    if row is None:
        raise Refusal(Reason.NOT_FOUND, f"there is no maildrop {address}")
    return MaildropKey(row[0], row[1])


async def record(
    connection: Connection, tenant_id: UUID, act: Act, what: tuple[str, str], detail: Mapping[str, object] | None = None
) -> None:
    """Write the audit row: `what` is the action and its target."""
    await connection.execute(RECORD, tenant_id, act.actor, *what, json.dumps(detail or {}))


@contextmanager
def taken(words: str) -> Iterator[None]:
    """Turns the breach of a unique key into Refusal(EXISTS) with these words."""
    try:
        yield
    except asyncpg.UniqueViolationError as error:
        raise Refusal(Reason.EXISTS, words) from error


def cursor(address: str) -> tuple[str, str]:
    """Domain and local part of the address that a page starts after."""
    local, _, domain = address.rpartition("@")
    return domain, local
