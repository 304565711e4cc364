"""A small service to test the directory, the index and the sweep in: the same on Postgres and in memory.

Owns how rows get there without the code under test. Refuses to know what a test asks of them.
"""

import hashlib
import itertools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol
from uuid import UUID, uuid4

import asyncpg

from service.mail.again import Reopening
from service.mail.ports import Directory, MessageIndex, Sweepable
from service.model.account import MaildropKey, Recipient
from service.model.message import Blob, NewMessage
from service.model.policy import Policy, PolicyValue
from service.model.tenancy import AuditEntry
from service.stores.memory.directory import MemoryDirectory
from service.stores.memory.index import MemoryMessageIndex
from service.stores.memory.reopening import MemoryReopening
from service.stores.memory.state import CredentialRow, DomainRow, MaildropRow, MemoryState, TenantRow
from service.stores.memory.sweep import MemorySweepable
from service.stores.postgres.database import Database
from service.stores.postgres.directory import PostgresDirectory
from service.stores.postgres.index import PostgresMessageIndex
from service.stores.postgres.reopening import PostgresReopening
from service.stores.postgres.sweep import PostgresSweepable

Values = Mapping[str, PolicyValue]
_serial = itertools.count(1)


@dataclass(frozen=True)
class Secret:
    verifier: str
    label: str = ""
    status: str = "active"
    expires: datetime | None = None


class World(Protocol):
    @property
    def directory(self) -> Directory: ...
    @property
    def index(self) -> MessageIndex: ...
    @property
    def reopening(self) -> Reopening: ...
    @property
    def sweepable(self) -> Sweepable: ...
    async def tenant(self, name: str, policy: Values | None = None, status: str = "active") -> UUID: ...
    async def domain(self, tenant: UUID, name: str, status: str = "active") -> None: ...
    async def maildrop(
        self, tenant: UUID, address: str, policy: Values | None = None, status: str = "active"
    ) -> MaildropKey: ...
    async def alias(self, key: MaildropKey, address: str) -> None: ...
    async def credential(self, key: MaildropKey, secret: Secret) -> None: ...
    async def set_status(self, key: MaildropKey, status: str) -> None: ...
    async def lose_row(self, key: MaildropKey, sequence: int) -> None: ...
    async def lose_fences(self) -> None: ...
    async def backdate_removals(self, moment: datetime) -> None: ...
    async def pass_days(self, days: float) -> None: ...
    async def notes(self, key: MaildropKey) -> Mapping[int, tuple[bool, bool]]: ...
    async def maildrops(self) -> set[MaildropKey]: ...
    async def audit(self, tenant: UUID) -> list[AuditEntry]: ...


class MemoryWorld:
    def __init__(self) -> None:
        self.state = MemoryState()
        self.directory = MemoryDirectory(self.state)
        self.index = MemoryMessageIndex(self.state)
        self.reopening = MemoryReopening(self.state)
        self.sweepable = MemorySweepable(self.state)

    async def tenant(self, name: str, policy: Values | None = None, status: str = "active") -> UUID:
        row = TenantRow(uuid4(), name, status, dict(policy or {}))
        self.state.tenants[row.tenant_id] = row
        return row.tenant_id

    async def domain(self, tenant: UUID, name: str, status: str = "active") -> None:
        self.state.domains.append(DomainRow(tenant, name, status))

    async def maildrop(
        self, tenant: UUID, address: str, policy: Values | None = None, status: str = "active"
    ) -> MaildropKey:
        key = MaildropKey(tenant, uuid4())
        local, _, domain = address.rpartition("@")
        self.state.maildrops[key] = MaildropRow(key, domain, local, status, dict(policy or {}))
        return key

    async def alias(self, key: MaildropKey, address: str) -> None:
        local, _, domain = address.rpartition("@")
        self.state.aliases[(key.tenant_id, domain, local)] = key.maildrop_id

    async def credential(self, key: MaildropKey, secret: Secret) -> None:
        row = CredentialRow(key, uuid4(), secret.verifier, label=secret.label)
        row.status, row.expires = secret.status, secret.expires
        self.state.credentials.append(row)

    async def set_status(self, key: MaildropKey, status: str) -> None:
        self.state.maildrops[key].status = status

    async def lose_row(self, key: MaildropKey, sequence: int) -> None:
        del self.state.messages[key][sequence]

    async def lose_fences(self) -> None:
        self.state.fences.clear()

    async def backdate_removals(self, moment: datetime) -> None:
        for row in self.state.rows():
            row.removed_at = row.removed_at and moment

    async def pass_days(self, days: float) -> None:
        for row in self.state.rows():
            row.removed_at = row.removed_at and row.removed_at - timedelta(days=days)
            row.retrieved_at = row.retrieved_at and row.retrieved_at - timedelta(days=days)
            row.kept_until = row.kept_until and row.kept_until - timedelta(days=days)

    async def notes(self, key: MaildropKey) -> Mapping[int, tuple[bool, bool]]:
        rows = self.state.messages.get(key, {})
        return {n: (row.retrieved_at is not None, row.kept_until is not None) for n, row in rows.items()}

    async def maildrops(self) -> set[MaildropKey]:
        return set(self.state.maildrops)

    async def audit(self, tenant: UUID) -> list[AuditEntry]:
        return [entry for whose, entry in self.state.audit if whose == tenant]


class PostgresWorld:
    def __init__(self, database: Database, owner: "asyncpg.Connection[asyncpg.Record]") -> None:
        self.database = database
        self.owner = owner
        self.directory = PostgresDirectory(database)
        self.index = PostgresMessageIndex(database)
        self.reopening = PostgresReopening(database)
        self.sweepable = PostgresSweepable(database)

    async def tenant(self, name: str, policy: Values | None = None, status: str = "active") -> UUID:
        tenant = uuid4()
        statement = "INSERT INTO tenants (tenant_id, name, policy, status) VALUES ($1, $2, $3, $4)"
        await self.owner.execute(statement, tenant, name, json.dumps(policy or {}), status)
        return tenant

    async def domain(self, tenant: UUID, name: str, status: str = "active") -> None:
        statement = "INSERT INTO domains (tenant_id, name, status) VALUES ($1, $2, $3)"
        await self.owner.execute(statement, tenant, name, status)

    async def maildrop(
        self, tenant: UUID, address: str, policy: Values | None = None, status: str = "active"
    ) -> MaildropKey:
        key = MaildropKey(tenant, uuid4())
        local, _, domain = address.rpartition("@")
        await self.owner.execute(
            "INSERT INTO maildrops (tenant_id, maildrop_id, domain, local, policy, status)"
            " VALUES ($1, $2, $3, $4, $5, $6)",
            *(tenant, key.maildrop_id, domain, local, json.dumps(policy or {}), status),
        )
        return key

    async def alias(self, key: MaildropKey, address: str) -> None:
        local, _, domain = address.rpartition("@")
        statement = "INSERT INTO aliases (tenant_id, domain, local, maildrop_id) VALUES ($1, $2, $3, $4)"
        await self.owner.execute(statement, key.tenant_id, domain, local, key.maildrop_id)

    async def credential(self, key: MaildropKey, secret: Secret) -> None:
        await self.owner.execute(
            "INSERT INTO credentials (tenant_id, maildrop_id, credential_id, verifier, label, status, expires)"
            " VALUES ($1, $2, $3, $4, $5, $6, $7)",
            *(key.tenant_id, key.maildrop_id, uuid4()),
            *(secret.verifier, secret.label, secret.status, secret.expires),
        )

    async def set_status(self, key: MaildropKey, status: str) -> None:
        statement = "UPDATE maildrops SET status = $1 WHERE tenant_id = $2 AND maildrop_id = $3"
        await self.owner.execute(statement, status, key.tenant_id, key.maildrop_id)

    async def lose_row(self, key: MaildropKey, sequence: int) -> None:
        statement = "DELETE FROM messages WHERE tenant_id = $1 AND maildrop_id = $2 AND sequence = $3"
        await self.owner.execute(statement, key.tenant_id, key.maildrop_id, sequence)

    async def lose_fences(self) -> None:
        await self.owner.execute("TRUNCATE fences")

    async def backdate_removals(self, moment: datetime) -> None:
        await self.owner.execute("UPDATE messages SET removed_at = $1 WHERE removed_at IS NOT NULL", moment)

    async def pass_days(self, days: float) -> None:
        """Make it so long ago that messages were removed, retrieved and promised to be kept."""
        await self.owner.execute(
            "UPDATE messages SET removed_at = removed_at - $1::interval, retrieved_at = retrieved_at - $1::interval,"
            " kept_until = kept_until - $1::interval",
            timedelta(days=days),
        )

    async def notes(self, key: MaildropKey) -> Mapping[int, tuple[bool, bool]]:
        """Of each message, whether it was noted as retrieved and whether it is kept until a time of its own."""
        rows = await self.owner.fetch(
            "SELECT sequence, retrieved_at IS NOT NULL AS retrieved, kept_until IS NOT NULL AS kept FROM messages"
            " WHERE tenant_id = $1 AND maildrop_id = $2",
            *(key.tenant_id, key.maildrop_id),
        )
        return {row["sequence"]: (row["retrieved"], row["kept"]) for row in rows}

    async def maildrops(self) -> set[MaildropKey]:
        rows = await self.owner.fetch("SELECT tenant_id, maildrop_id FROM maildrops")
        return {MaildropKey(row[0], row[1]) for row in rows}

    async def audit(self, tenant: UUID) -> list[AuditEntry]:
        statement = "SELECT moment, actor, action, target, detail FROM audit WHERE tenant_id = $1 ORDER BY audit_id"
        rows = await self.owner.fetch(statement, tenant)
        return [AuditEntry(row[0], row[1], row[2], row[3], json.loads(row[4])) for row in rows]


async def one_maildrop(world: World, policy: Values | None = None) -> MaildropKey:
    tenant = await world.tenant("acme", policy)
    await world.domain(tenant, "acme.example")
    return await world.maildrop(tenant, "alice@acme.example")


def recipient(key: MaildropKey) -> Recipient:
    return Recipient(key, "acme", "alice@acme.example", "alice@acme.example", Policy())


def message(octets: int = 1000, trace: bytes = b"", **fields: str | datetime | None) -> NewMessage:
    """A new message whose row and blob key nothing else has; `octets` are the blob's."""
    serial = next(_serial)
    key = str(fields.get("blob_key") or f"acme/2026/01/01/{serial}")
    digest = hashlib.sha256(str(serial).encode()).digest()
    blob = Blob(key, octets, min(octets, 100), serial % 2 == 0, digest, digest[::-1] if serial % 3 else None)
    received = fields.get("received")
    imported = fields.get("imported_unique_id")
    return NewMessage(
        uuid4(),
        blob,
        received if isinstance(received, datetime) else datetime.now(UTC),
        trace,
        imported if isinstance(imported, str) else None,
    )


async def deliver(world: World, key: MaildropKey, *messages: NewMessage) -> None:
    """Append `messages`, which must all be taken."""
    assert await world.index.append([(recipient(key), m) for m in messages]) == [None] * len(messages)
