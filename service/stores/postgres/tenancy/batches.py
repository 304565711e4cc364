"""Many maildrops in one transaction: one statement for each table, whatever the number of rows.

Owns those statements. Refuses to decide what becomes of a row: `mail.batches.judged` does, once the domains are locked,
so that nothing comes or goes in them meanwhile. A row created here has its audit row's moment as `created`.
"""

import json
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from uuid import UUID, uuid4

from service.mail.batches import MaildropRow, Manner, Names, Outcome, judged
from service.mail.changing import Shut
from service.mail.tenancy import Act
from service.model.address import Address
from service.model.refusal import Refusal
from service.model.tenancy import NewCredential
from service.stores.postgres.database import Database
from service.stores.postgres.tenancy.rows import Connection, lock_tenant, record

DOMAINS = """
SELECT name FROM domains WHERE tenant_id = $1 AND name = ANY ($2) AND status <> 'removed'
ORDER BY name FOR NO KEY UPDATE
"""
THERE = """
SELECT n.domain, n.local FROM unnest($2::text[], $3::text[]) AS n (domain, local)
JOIN tenants t ON t.name = $1 AND t.status <> 'removed'
JOIN maildrops m ON m.tenant_id = t.tenant_id AND (m.domain, m.local) = (n.domain, n.local) AND m.status <> 'removed'
"""
MAILDROPS = """
SELECT m.domain, m.local, m.maildrop_id FROM maildrops m
JOIN unnest($2::text[], $3::text[]) AS n (domain, local) ON (m.domain, m.local) = (n.domain, n.local)
WHERE m.tenant_id = $1 AND m.status <> 'removed' ORDER BY m.maildrop_id
"""
LOCKED = MAILDROPS + " FOR NO KEY UPDATE OF m"
ALIASES = """
SELECT a.domain, a.local, m.domain, m.local FROM aliases a
JOIN unnest($2::text[], $3::text[]) AS n (domain, local) ON (a.domain, a.local) = (n.domain, n.local)
JOIN maildrops m ON m.tenant_id = a.tenant_id AND m.maildrop_id = a.maildrop_id
WHERE a.tenant_id = $1
"""
APP_PASSWORDS = """
SELECT maildrop_id, label FROM credentials WHERE tenant_id = $1 AND maildrop_id = ANY ($2) AND kind = 'app'
"""
SHUT = """
SELECT maildrop_id, label, verifier, status = 'suspended', CASE WHEN expires <= now() THEN expires END FROM credentials
WHERE tenant_id = $1 AND maildrop_id = ANY ($2) AND kind <> 'app' AND (expires <= now() OR status = 'suspended')
"""

CREATE = """
INSERT INTO maildrops (tenant_id, maildrop_id, domain, local, status, policy)
SELECT $1, n.id, n.domain, n.local, coalesce(n.status, 'active'), n.policy
FROM unnest($2::uuid[], $3::text[], $4::text[], $5::text[], $6::jsonb[]) AS n (id, domain, local, status, policy)
"""
UPDATE = """
UPDATE maildrops m SET status = coalesce(n.status, m.status), policy = m.policy || n.policy
FROM unnest($2::uuid[], $3::text[], $4::jsonb[]) AS n (id, status, policy)
WHERE m.tenant_id = $1 AND m.maildrop_id = n.id
  AND (m.status, m.policy) <> (coalesce(n.status, m.status), m.policy || n.policy)
RETURNING m.maildrop_id
"""
ARM = """
INSERT INTO credentials (tenant_id, maildrop_id, credential_id, kind, verifier, label, expires, scram)
SELECT $1, * FROM unnest($2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::timestamptz[], $8::text[])
ON CONFLICT (tenant_id, maildrop_id, label) DO UPDATE
SET credential_id = excluded.credential_id, kind = excluded.kind, verifier = excluded.verifier,
    scram = excluded.scram, expires = coalesce(excluded.expires, credentials.expires)
WHERE credentials.verifier <> excluded.verifier
RETURNING maildrop_id
"""
NAME = """
INSERT INTO aliases (tenant_id, domain, local, maildrop_id)
SELECT $1, * FROM unnest($2::text[], $3::text[], $4::uuid[])
ON CONFLICT (tenant_id, domain, local) DO NOTHING RETURNING maildrop_id
"""


class PostgresMaildropBatches:
    """`mail.tenancy.MaildropBatches` on Postgres."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def there(self, tenant: str, addresses: Sequence[Address]) -> AbstractSet[Address]:
        """Which of these are maildrops of the tenant's."""
        rows = await self._database.read(THERE, tenant, *_columns(addresses))
        return {Address(row[1], row[0]) for row in rows}

    async def put(self, act: Act, rows: Sequence[MaildropRow], manner: Manner) -> Sequence[Outcome | Refusal]:
        """What became of each row. Raises Refusal(NOT_FOUND)."""
        async with self._database.transaction() as connection:
            tenant_id = await lock_tenant(connection, act.tenant)
            names = await _names(connection, tenant_id, rows, manner)
            outcomes = judged(rows, names, manner)
            batch = _Batch(connection, tenant_id, manner)
            created = await batch.create([row for row, o in zip(rows, outcomes, strict=True) if o is Outcome.CREATED])
            there = [row for row, o in zip(rows, outcomes, strict=True) if o is Outcome.UPDATED]
            updated = await batch.update({row: names.maildrops[row.address] for row in there})
            if created or updated:
                await record(connection, tenant_id, act, ("maildrop.batch", act.tenant), _detail(created, updated))
        kept = set(there) - set(updated)
        return [Outcome.KEPT if row in kept else o for row, o in zip(rows, outcomes, strict=True)]


@dataclass(frozen=True, slots=True)
class _Batch:
    connection: Connection
    tenant_id: UUID
    manner: Manner

    async def create(self, rows: Sequence[MaildropRow]) -> Sequence[MaildropRow]:
        """Create these, with their credentials and aliases."""
        if rows:
            ids = {row: uuid4() for row in rows}
            columns = _columns([row.address for row in rows])
            await self.connection.execute(CREATE, self.tenant_id, list(ids.values()), *columns, *_standing(rows))
            await self._arm(ids)
            await self._name(ids)
        return rows

    async def update(self, ids: dict[MaildropRow, UUID]) -> Sequence[MaildropRow]:
        """Those of these that differed, and don't any more."""
        changed = set[UUID]()
        if ids and self.manner.update:
            rows = await self.connection.fetch(UPDATE, self.tenant_id, list(ids.values()), *_standing(list(ids)))
            changed |= {row[0] for row in rows} | await self._name(ids)
        if ids and self.manner.reset:
            changed |= await self._arm(ids)
        return [row for row, maildrop_id in ids.items() if maildrop_id in changed]

    async def _arm(self, ids: dict[MaildropRow, UUID]) -> set[UUID]:
        armed = [(maildrop_id, uuid4(), *_secret(row.credential)) for row, maildrop_id in ids.items() if row.credential]
        return await self._inserted(ARM, armed)

    async def _name(self, ids: dict[MaildropRow, UUID]) -> set[UUID]:
        named = [(alias.domain, alias.local, maildrop_id) for row, maildrop_id in ids.items() for alias in row.aliases]
        return await self._inserted(NAME, named)

    async def _inserted(self, statement: str, rows: Sequence[tuple[object, ...]]) -> set[UUID]:
        if not rows:
            return set()
        found = await self.connection.fetch(statement, self.tenant_id, *map(list, zip(*rows, strict=True)))
        return {row[0] for row in found}


async def _names(connection: Connection, tenant_id: UUID, rows: Sequence[MaildropRow], manner: Manner) -> Names:
    addresses = [row.address for row in rows]
    named = [*addresses, *(alias for row in rows for alias in row.aliases)]
    domains = await connection.fetch(DOMAINS, tenant_id, sorted({each.domain for each in named}))
    maildrops = await connection.fetch(LOCKED if manner.touches else MAILDROPS, tenant_id, *_columns(named))
    aliases = await connection.fetch(ALIASES, tenant_id, *_columns(named))
    by_id = {row[2]: Address(row[1], row[0]) for row in maildrops}
    apps = await connection.fetch(APP_PASSWORDS, tenant_id, list(by_id)) if manner.reset and by_id else []
    shut = await connection.fetch(SHUT, tenant_id, list(by_id)) if manner.reset and by_id else []
    return Names(
        {row[0] for row in domains},
        {address: maildrop_id for maildrop_id, address in by_id.items()},
        {Address(row[1], row[0]): Address(row[3], row[2]) for row in aliases},
        {(by_id[row[0]], row[1]) for row in apps},
        {(by_id[row[0]], row[1]): Shut(*row[2:]) for row in shut},
    )


def _columns(addresses: Sequence[Address]) -> tuple[list[str], list[str]]:
    return [each.domain for each in addresses], [each.local for each in addresses]


def _standing(rows: Sequence[MaildropRow]) -> tuple[list[str | None], list[str]]:
    return [row.status and row.status.value for row in rows], [json.dumps(dict(row.policy)) for row in rows]


def _secret(credential: NewCredential) -> tuple[object, ...]:
    c = credential
    return c.kind, c.verifier, c.label, c.expires, c.scram


def _detail(created: Sequence[MaildropRow], updated: Sequence[MaildropRow]) -> dict[str, object]:
    """Those created are known by their moment; those updated only by being named."""
    return {"created": len(created), "updated": [str(row.address) for row in updated]}
