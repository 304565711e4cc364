"""A small provider in memory: tenants, domains and maildrops, and a clock that tests set."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid5

from service.mail.ports import Expired
from service.model.account import MaildropKey
from service.model.message import StoredMessage
from service.stores.memory.blobs import MemoryBlobStore
from service.stores.memory.directory import MemoryDirectory
from service.stores.memory.index import MemoryMessageIndex
from service.stores.memory.state import DomainRow, MaildropRow, MemoryState, MessageRow, TenantRow
from service.stores.memory.sweep import MemorySweepable

NAMESPACE = UUID(int=11)


@dataclass
class SetClock:
    """A clock that stands still until it is moved."""

    moment: datetime = datetime(2025, 3, 9, 12, 0, 0, tzinfo=UTC)
    seconds: float = 0.0

    def now(self) -> datetime:
        return self.moment

    def monotonic(self) -> float:
        return self.seconds

    def move(self, **delta: float) -> None:
        self.moment += timedelta(**delta)


@dataclass
class Provider:
    """One tenant for each domain that `add` names."""

    state: MemoryState = field(default_factory=MemoryState)
    blobs: MemoryBlobStore = field(default_factory=MemoryBlobStore)
    clock: SetClock = field(default_factory=SetClock)

    def __post_init__(self) -> None:
        self.directory = MemoryDirectory(self.state)
        self.index = MemoryMessageIndex(self.state)
        self.sweepable = MemorySweepable(self.state)

    def add(self, address: str, **policy: int) -> MaildropKey:
        """A maildrop of the tenant named like its domain."""
        local, _, domain = address.partition("@")
        tenant = uuid5(NAMESPACE, domain)
        if tenant not in self.state.tenants:
            self.state.tenants[tenant] = TenantRow(tenant, domain.partition(".")[0])
            self.state.domains.append(DomainRow(tenant, domain))
        key = MaildropKey(tenant, uuid5(NAMESPACE, address))
        self.state.maildrops[key] = MaildropRow(key, domain, local, policy=dict(policy))
        return key

    def alias(self, address: str, target: MaildropKey) -> None:
        """Another name of a maildrop; `@domain` is the domain's catch-all."""
        local, _, domain = address.partition("@")
        self.state.aliases[target.tenant_id, domain, local] = target.maildrop_id

    def rows(self, key: MaildropKey) -> list[MessageRow]:
        """The maildrop's rows in order, removed ones included."""
        return [row for _, row in sorted(self.state.messages.get(key, {}).items())]

    def remove(self, key: MaildropKey, at: datetime) -> list[Expired]:
        """Mark every message of the maildrop as removed at a moment."""
        rows = self.rows(key)
        for row in rows:
            row.removed_at, row.removed_in = at, 1
        return [Expired(row.key, row.sequence, row.message.blob.key) for row in rows]

    async def texts(self, key: MaildropKey) -> list[bytes]:
        """What RETR would send of each listed message, unstuffed."""
        listed = [row for row in self.rows(key) if row.removed_at is None]
        stored = [
            StoredMessage(row.sequence, row.message.unique_id, row.message.blob, row.message.trace) for row in listed
        ]
        return [one.trace + await self.blobs.read(one.blob.key, 0, one.blob.octets) for one in stored]

    async def keys(self) -> list[str]:
        """Every blob there is."""
        return [blob.key async for blob in self.blobs.scan("")]
