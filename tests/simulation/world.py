"""What all processes of one schedule share: the stores, tenants with maildrops in them, and the time of day.

Owns the rows and blobs that a schedule begins with, that no row is ever without its blob, and that nobody comes back
whom staff evicted. Refuses to know who uses them.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid5

from service.mail.ports import LEASE_SECONDS, Lease, Renewal
from service.model.account import MaildropKey, Recipient
from service.model.message import NewMessage
from service.model.refusal import Refusal
from service.model.text import Measure
from service.stores.memory.allowances import MemoryAllowances
from service.stores.memory.attempts import MemoryAttempts
from service.stores.memory.blobs import MemoryBlobStore
from service.stores.memory.directory import MemoryDirectory
from service.stores.memory.index import MemoryMessageIndex
from service.stores.memory.locks import MemoryMaildropLocks
from service.stores.memory.owners import MemoryDomainOwners
from service.stores.memory.passwords import OLD, PREFIX
from service.stores.memory.showings import MemoryShowings
from service.stores.memory.state import CredentialRow, DomainRow, MaildropRow, MemoryState, MessageRow, TenantRow
from service.stores.memory.sweep import MemorySweepable
from service.stores.memory.uses import MemoryLastUses
from service.stores.memory.verifiers import MemoryVerifiers
from tests.simulation.loop import SimulationLoop

NAMESPACE = UUID(int=11)
ADDRESSES = ("anna@a.example", "bert@a.example", "carl@b.example")
FIRST_SECRET = "secret 1"
FIRST_DAY = datetime(2026, 3, 9, tzinfo=UTC)
LONG_AGO = timedelta(days=8)
EARLIER = 900_000
"""Texts from here on were there before the first client came."""


class Clock:
    """Implements `mail.ports.Clock` on virtual time; wrong by `skew` for one process, whose clock nobody set."""

    def __init__(self, loop: SimulationLoop, start: datetime, skew: timedelta = timedelta()) -> None:
        self._loop = loop
        self._start = start + skew

    def now(self) -> datetime:
        return self._start + timedelta(seconds=self._loop.time())

    def monotonic(self) -> float:
        return self._loop.time()


class Index(MemoryMessageIndex):
    """The index, which sees to it that whatever it lists is stored."""

    def __init__(self, world: "World") -> None:
        super().__init__(world.state)
        self._world = world

    async def append(self, arrivals: Sequence[tuple[Recipient, NewMessage]]) -> Sequence[Refusal | None]:
        for _, message in arrivals:
            if not self._world.blobs.has(message.blob.key):
                self._world.wrong.append(f"row without blob: {message.blob.key} is to be listed")
        return await super().append(arrivals)


class Blobs(MemoryBlobStore):
    """The blobs, none of which may go while a row that is listed names it."""

    def __init__(self, world: "World") -> None:
        super().__init__(world.clock.now)
        self._world = world

    def keys(self) -> set[str]:
        return set(self._blobs)

    def has(self, key: str) -> bool:
        return key in self._blobs

    def put_at(self, key: str, octets: bytes, moment: datetime) -> None:
        """A blob of another day."""
        self._blobs[key] = octets, moment

    async def delete(self, keys: Sequence[str]) -> None:
        listed = {row.message.blob.key for row in self._world.state.rows() if row.removed_at is None}
        self._world.wrong += [f"row without blob: {key} goes and is listed" for key in keys if key in listed]
        await super().delete(keys)


class Locks(MemoryMaildropLocks):
    """The leases, none of which may come back within a lease to whom staff evicted, unless another came since."""

    def __init__(self, world: "World") -> None:
        super().__init__(world.clock)
        self._world = world
        self._gone: dict[MaildropKey, tuple[str, float]] = {}

    async def evict(self, key: MaildropKey) -> bool:
        holder = self._current(key)
        evicted = await super().evict(key)
        if evicted and holder is not None:
            self._gone[key] = holder.token, self._clock.monotonic() + LEASE_SECONDS
        return evicted

    async def acquire(self, lease: Lease) -> bool:
        return self._came(lease, await super().acquire(lease))

    async def seize(self, lease: Lease) -> bool:
        return self._came(lease, await super().seize(lease))

    async def renew(self, leases: Sequence[Lease]) -> Renewal:
        renewal = await super().renew(leases)
        for lease in renewal.regained:
            token, until = self._gone.get(lease.key, ("", 0.0))
            if token == lease.token and self._clock.monotonic() < until:
                self._world.wrong.append(f"who was evicted is back: {lease.holder.session_id}")
        return renewal

    def forget(self) -> None:
        super().forget()
        self._gone.clear()

    def _came(self, lease: Lease, taken: bool) -> bool:
        if taken:
            self._gone.pop(lease.key, None)
        return taken


class World:
    """The stores of one schedule."""

    def __init__(self, loop: SimulationLoop) -> None:
        dice = loop.dice
        self.loop = loop
        # Some schedules run over midnight, as the keys of blobs name the day.
        start = FIRST_DAY + timedelta(seconds=dice.choice((43_200, 86_395)))
        self.start = start
        self.reads_on = dice.random() < 0.5
        """Whether people may read on while Postgres is away; a setting, so that it is the same everywhere."""
        self.clock = Clock(loop, start)
        self.wrong: list[str] = []
        self.state = MemoryState(now=self.clock.now)
        self.index, self.blobs = Index(self), Blobs(self)
        self.directory, self.owners = MemoryDirectory(self.state), MemoryDomainOwners(self.state)
        self.sweepable, self.uses = MemorySweepable(self.state), MemoryLastUses(self.state)
        self.verifiers, self.locks = MemoryVerifiers(self.state), Locks(self)
        self.allowances, self.attempts = MemoryAllowances(self.clock), MemoryAttempts(self.clock)
        self.showings = MemoryShowings(self.clock)
        self.earlier: list[tuple[str, int, bytes]] = []
        """Which texts were there before: the maildrop, the number and the text."""
        self.keys = {address: self._maildrop(address) for address in ADDRESSES[: dice.choice((1, 1, 2, 3))]}

    def _maildrop(self, address: str) -> MaildropKey:
        dice, state = self.loop.dice, self.state
        local, _, domain = address.partition("@")
        tenant = uuid5(NAMESPACE, domain)
        if tenant not in state.tenants:
            limits = dice.choice(({}, {}, {"sessions_per_tenant": 3}, {"sessions_per_address": 1}))
            state.tenants[tenant] = TenantRow(tenant, domain[0], policy=dict(limits), created=self.start)
            state.domains.append(DomainRow(tenant, domain, created=self.start))
        key = MaildropKey(tenant, uuid5(NAMESPACE, address))
        policy = dice.choice(({}, {}, {"dele": "undo"}, {"octets_per_day": 20_000}, {"order": "newest"}))
        state.maildrops[key] = MaildropRow(key, domain, local, policy=dict(policy), created=self.start)
        verifier = dice.choice((PREFIX, OLD)) + FIRST_SECRET
        state.credentials.append(CredentialRow(key, uuid5(NAMESPACE, local), verifier, created=self.start))
        for number in range(dice.choice((0, 2, 5))):
            self._settle(key, number, gone=dice.random() < 0.3)
        if dice.random() < 0.5:
            # A delivery of the day before yesterday broke off.
            then = self.start - timedelta(days=2)
            self.blobs.put_at(f"{tenant.hex}/{then:%Y/%m/%d}/{key.maildrop_id.hex}", b"orphan\r\n", then)
        return key

    def _settle(self, key: MaildropKey, number: int, *, gone: bool) -> None:
        """A message of last week, which somebody removed as long ago if it is `gone`."""
        row, then = self.state.maildrops[key], self.start - LONG_AGO
        identity = EARLIER + 10 * len(self.state.maildrops) + number
        octets = text_of(identity, 200)
        where = f"{key.tenant_id.hex}/{then:%Y/%m/%d}/{row.local}{number}"
        self.blobs.put_at(where, octets, then)
        measure = Measure()
        measure.feed(octets)
        blob = measure.blob(where)
        if number % 2:
            # The release before knew no beginnings.
            blob = replace(blob, beginnings=None)
        message = NewMessage(uuid5(NAMESPACE, where), blob, then)
        kept = MessageRow(key, row.next_sequence, message)
        self.state.messages.setdefault(key, {})[row.next_sequence] = kept
        row.next_sequence += 1
        if not gone:
            self.earlier.append((row.address, identity, octets))
        if gone:
            row.removals += 1
            kept.removed_at, kept.removed_in = then, row.removals
        else:
            row.messages, row.octets = row.messages + 1, row.octets + message.octets

    def miscounted(self) -> list[str]:
        """What doesn't fit among the rows and the blobs."""
        wrong = []
        for key, maildrop in self.state.maildrops.items():
            listed = [row for row in self.state.messages.get(key, {}).values() if row.removed_at is None]
            counted = (len(listed), sum(row.message.octets for row in listed))
            if counted != (maildrop.messages, maildrop.octets):
                wrong.append(f"{maildrop.address} counts {maildrop.messages} {maildrop.octets} and has {counted}")
        named = {row.message.blob.key for row in self.state.rows()}
        return wrong + [f"row without blob: {key}" for key in sorted(named - self.blobs.keys())]


def text_of(number: int, octets: int) -> bytes:
    """A message that says which text it is, with lines that begin with dots."""
    head = b"Message-ID: <%d@history>\r\nSubject: %d\r\n\r\n" % (number, number)
    line = b".%07d and so on, line by line\r\n" % number
    return head + line * (octets // len(line)) + b"end\r\n"
