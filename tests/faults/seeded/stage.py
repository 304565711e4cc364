"""Front ends, LMTP processes and a sweep in one event loop, over one set of stores, on loopback.

Owns processes that can be killed, a clock that is moved by hand, and the history. Everything from the sockets down to
the ports is the service's own; the stores are those in memory, or Postgres and Valkey where a defect is in them.
Refuses to know defects.
"""

import asyncio
import io
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import asyncpg
import trustme

from service.mail.budget import Budget
from service.mail.delivery import Delivery, DeliveryStores
from service.mail.leases import Leases
from service.mail.login import Login
from service.mail.patience import Patience
from service.mail.prefetch import Limits
from service.mail.renewals import Renewals
from service.mail.retrieval import Resumption, Retrieval
from service.mail.sweep import Sweep, SweepRules
from service.mail.text_memory import TextMemory
from service.mail.update import Update
from service.mail.verdicts import Verdicts
from service.mail.verification import Verification
from service.model.account import MaildropKey
from service.model.policy import Announced
from service.model.refusal import Reason, Refusal
from service.net.admission import Admission
from service.net.arrival import ListenerSpec
from service.net.listener import Listener, Reception
from service.net.lmtp import LmtpConnection
from service.net.lmtp_service import LmtpService
from service.net.peer import TlsMode
from service.net.pop3 import Pop3Connection
from service.net.pop3_service import Pop3Options, Pop3Service
from service.net.tls import server_context
from service.protocol.lmtp.state import Terms
from service.stores.memory.allowances import MemoryAllowances
from service.stores.memory.blobs import MemoryBlobStore
from service.stores.memory.locks import MemoryMaildropLocks
from service.stores.memory.passwords import PREFIX, MemoryPasswordHashes
from service.stores.memory.state import MemoryState
from service.stores.memory.verifiers import MemoryVerifiers
from tests.faults.operations import Operation, Recorder, read
from tests.faults.seeded.harm import Harms, Life, Port
from tests.stores.worlds import MemoryWorld, Secret, World

PIECE = 65_537
"""Octets in which large blobs come, so that their ends fall everywhere in a line."""


PATIENCE = 10.0


class Clock:
    """Moved by hand, and a little by whoever asks, so that no two operations are at the same instant."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def now(self) -> datetime:
        return datetime.now(UTC) + timedelta(seconds=self.seconds)

    def monotonic(self) -> float:
        return self.seconds

    def tick(self) -> float:
        self.seconds += 0.001
        return self.seconds


class Blobs(MemoryBlobStore):
    """Large ones come in many pieces; a bad store changes an octet of each, or gives less and fails."""

    def __init__(self) -> None:
        super().__init__()
        self.corrupts = self.fails_in_the_middle = False

    async def read(self, key: str, start: int, end: int, patience: Patience | None = None) -> bytes:
        if self.fails_in_the_middle and start > 0:
            raise Refusal(Reason.UNAVAILABLE, "told to fail")
        octets = await super().read(key, start, end, patience)
        middle = len(octets) // 2
        return octets[:middle] + b"?" + octets[middle + 1 :] if self.corrupts else octets

    async def stream(
        self, key: str, start: int, end: int, patience: Patience | None = None
    ) -> AsyncGenerator[bytes, None]:
        for begin in range(start, end, PIECE):
            yield await self.read(key, begin, min(begin + PIECE, end), patience)


@dataclass
class Process:
    """One of the service's; `leases` are a front end's."""

    name: str
    life: Life = field(default_factory=Life)
    listener: Listener | None = None
    leases: Leases | None = None
    connections: list[Any] = field(default_factory=list)
    port: int = 0
    alive: bool = True

    def die(self) -> None:
        """As by kill -9: nothing that it was doing goes on, and its clients see their connections end."""
        self.alive = False
        self.life.pause()
        for connection in self.connections:
            if connection._transport is not None:
                connection._transport.abort()


@dataclass
class Stores:
    """What all processes share."""

    world: World
    locks: Any
    forget: Callable[[], None]
    """Have the store of leases lose all it knows."""
    owner: "asyncpg.Connection[asyncpg.Record] | None" = None
    """Where a database is beneath, its owner's connection."""
    blobs: Blobs = field(default_factory=Blobs)


MakeStores = Callable[[Clock], AbstractAsyncContextManager[Stores]]


@dataclass
class Stage:
    """One run."""

    stores: Stores
    clock: Clock
    authority: trustme.CA | None = None
    harms: Harms = field(default_factory=Harms)
    file: io.StringIO = field(default_factory=io.StringIO)
    processes: list[Process] = field(default_factory=list)
    keys: dict[str, MaildropKey] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict)
    """address -> the name of its password, which is the password."""

    def __post_init__(self) -> None:
        self.recorder = Recorder(self.file, self.clock.tick)
        self._tls = server_context(()) if self.authority else None
        if self.authority and self._tls:
            self.authority.issue_cert("localhost").configure_cert(self._tls)

    @property
    def state(self) -> MemoryState:
        assert isinstance(self.stores.world, MemoryWorld)
        return self.stores.world.state

    def history(self) -> list[Operation]:
        return list(read(self.file.getvalue().splitlines()))

    async def maildrops(self, *addresses: str) -> None:
        """Maildrops of one tenant, each with the password "1"."""
        world = self.stores.world
        tenant = await world.tenant("acme")
        await world.domain(tenant, "acme.example")
        for address in addresses:
            self.keys[address] = await world.maildrop(tenant, address)
            await world.credential(self.keys[address], Secret(PREFIX + "1"))
            self.secrets[address] = "1"
            self.recorder.note("staff", "password", address, secret="1")

    async def front(self, *, private: bool = False) -> Process:
        """A front end that serves; one that is `private` needs no TLS even where there is an authority."""
        process = Process(f"front {len(self.processes) + 1}")
        index, directory, locks = (self._port(process, each) for each in self._shared())
        leases = process.leases = Leases(locks, index)
        hashes = MemoryPasswordHashes()
        renewals = Renewals(hashes, MemoryVerifiers(MemoryState()))
        verification = Verification(hashes, Verdicts(self.clock), renewals)
        login = Login(directory, verification, locks, index, leases, self.clock, process.name)
        blobs = self._port(process, self.stores.blobs)
        budget = Budget(1 << 24)
        service = Pop3Service(
            *(login, Update(index, leases), index, Retrieval(blobs, Resumption(pause=0))),
            *(MemoryAllowances(self.clock), Limits(1 << 20, budget), budget, budget),
            *(Announced, self._tls, Pop3Options(failure_delay=0)),
        )
        return self._serving(
            process,
            partial(Pop3Connection, service),
            TlsMode.TERMINATED if private or not self._tls else TlsMode.STARTTLS,
        )

    async def lmtp(self) -> Process:
        """An LMTP process that serves."""
        process = Process(f"lmtp {len(self.processes) + 1}")
        index, directory, _ = (self._port(process, each) for each in self._shared())
        stores = DeliveryStores(directory, self._port(process, self.stores.blobs), index, self.clock)
        service = LmtpService(Delivery(stores, "mx.example", TextMemory(1 << 28)), Terms("mx.example"))
        return self._serving(process, partial(LmtpConnection, service), TlsMode.NONE)

    async def sweep(self) -> None:
        """Sweep, with a retention that is over at once."""
        self.clock.seconds += 1
        rules = SweepRules(removed_retention=timedelta())
        await Sweep(self.stores.world.sweepable, self.stores.blobs, self.clock, rules)()

    def kill(self, process: Process) -> None:
        with self.fault(f"kill {process.name}", process.name):
            process.die()

    def fault(self, what: str, *touches: str) -> "Fault":
        return Fault(self.recorder, what, touches)

    async def idle(self) -> None:
        """Return once no live front end holds a maildrop: the ends of sessions were noticed."""
        async with asyncio.timeout(PATIENCE):
            while any(process.alive and process.leases for process in self.processes):  # noqa: ASYNC110 - no event
                await asyncio.sleep(0.001)

    async def end(self) -> None:
        """End all connections and tasks."""
        listeners = [process.listener for process in self.processes if process.listener is not None]
        for process in self.processes:
            process.life.end()
        for listener in listeners:
            listener.end()
        async with asyncio.timeout(PATIENCE):
            for listener in listeners:
                await listener.wait_closed()

    def _shared(self) -> tuple[Any, Any, Any]:
        world = self.stores.world
        return world.index, world.directory, self.stores.locks

    def _port(self, process: Process, port: Any) -> Any:
        return Port(port, process.life, self.harms)

    def _serving(self, process: Process, make: Callable[..., Any], tls: TlsMode) -> Process:
        def made(peer: Any) -> Any:
            process.connections.append(make(peer))
            return process.connections[-1]

        reception = Reception(made, Admission(100), self._tls)
        listener = Listener(ListenerSpec("test", "127.0.0.1", 0, tls), reception)
        process.listener, process.port = listener, listener.start()
        self.processes.append(process)
        return process


@dataclass
class Fault:
    """Noted before it is begun and after it is undone."""

    recorder: Recorder
    what: str
    touches: tuple[str, ...]

    def __enter__(self) -> None:
        self.recorder.note("nemesis", "fault", what=self.what, touches=self.touches)

    def __exit__(self, *_: object) -> None:
        self.recorder.note("nemesis", "mended", what=self.what)


@asynccontextmanager
async def in_memory(clock: Clock) -> AsyncIterator[Stores]:
    """The stores in memory."""
    locks = MemoryMaildropLocks(clock)
    yield Stores(MemoryWorld(), locks, locks.forget)


@asynccontextmanager
async def staged(stores: MakeStores = in_memory, authority: trustme.CA | None = None) -> AsyncIterator[Stage]:
    """A stage, whose front ends take STLS where there is an authority; at the end all that is left of it ends."""
    clock = Clock()
    async with stores(clock) as made:
        stage = Stage(made, clock, authority)
        try:
            yield stage
        finally:
            await stage.end()
