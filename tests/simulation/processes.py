"""The processes of one schedule: front ends, LMTP and the sweep, each with the use cases as `app` groups them.

Owns that a dead one comes back as a new one, and what a live one must have given back once it is idle. Refuses to know
what clients do.
"""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any, cast

from service.mail.again import Again
from service.mail.allowances import Places
from service.mail.attempts import Standby
from service.mail.begun import SpareBegun
from service.mail.budget import Budget
from service.mail.counting import Lately, Rules
from service.mail.delivery import Delivery, DeliveryStores
from service.mail.fair import FairBlobs, FairHashes, SpareBlobs
from service.mail.fairness import Fairness
from service.mail.guard import Guard
from service.mail.leases import Leases
from service.mail.login import Login
from service.mail.outage import Bounds as Remembered
from service.mail.outage import Memory, OutageDirectory, Reading
from service.mail.pace import Pace
from service.mail.ports import RENEW_EVERY
from service.mail.prefetch import Limits
from service.mail.recipients import SECONDS as RECALLED
from service.mail.recipients import FoundRecipients
from service.mail.renewals import Renewals
from service.mail.retrieval import Resumption, Retrieval
from service.mail.sweep import Sweep
from service.mail.text_memory import TextMemory
from service.mail.turns import Bounds, Turns
from service.mail.update import Update
from service.mail.uses import Uses
from service.mail.verdicts import Verdicts
from service.mail.verification import Verification
from service.mail.whose import Owners
from service.model.attempts import Kind, Limit
from service.model.policy import Announced
from service.model.refusal import Refusal
from service.net.conversation import Conversation
from service.net.lmtp import LmtpConnection
from service.net.lmtp_service import LmtpOptions, LmtpService
from service.net.peer import Peer
from service.net.pop3 import Pop3Connection
from service.net.pop3_service import Pop3Options, Pop3Service
from service.protocol.lmtp.state import Terms
from service.stores.memory.attempts import MemoryAttempts
from service.stores.memory.entrance import MemoryEntrance
from service.stores.memory.passwords import MemoryPasswordHashes
from service.stores.memory.reopening import MemoryReopening
from tests.net.crowded import in_company
from tests.simulation.faults import Faults, Port
from tests.simulation.loop import Process
from tests.simulation.wires import Client, Wire
from tests.simulation.world import Clock, World

IDLE, STALL = 420.0, 60.0
SKEWS = (0, 0, 0, 600, -600)
"""Seconds by which a process's clock is wrong."""
LIMITS = {Kind.PAIR: Limit(6, 12), Kind.ACCOUNT: Limit(20, 40)}


class Running:
    """A process with connections and background tasks."""

    def __init__(self, name: str, world: World, faults: Faults) -> None:
        self.process = Process(world.loop, name)
        self.world = world
        self.faults = faults
        self.connections: list[Conversation] = []
        self.budgets: dict[str, Callable[[], float]] = {}
        self.background: list[asyncio.Task[None]] = []
        self.draining = False
        self.clock = Clock(world.loop, world.start, timedelta(seconds=world.loop.dice.choice(SKEWS)))
        self.process.run(self._build)

    def _build(self) -> None:
        """Make what the process serves, as the process itself."""

    def _made(self, peer: Peer) -> Conversation:
        raise NotImplementedError

    def port(self, behind: object, system: str) -> Any:
        """A store as this process reaches it."""
        return Port(behind, system, self.process, self.faults)

    def connect(self, client: str) -> Client:
        """A client's connection."""
        peer = Peer(client, 1110, "test", private=True)
        connection = self.process.run(lambda: self._made(peer))
        self.connections.append(connection)
        connection.when_gone(lambda: self.connections.remove(connection))
        return Wire(self.world.loop, self.process, connection).client

    def drain(self, grace: float) -> None:
        """Be told to end, as at a rolling update: nobody new comes, and who is in the middle has so many seconds."""
        if self.draining or not self.process.alive:
            return
        self.draining = True
        self._each(lambda connection: connection.drain())
        loop = self.world.loop
        loop.outside(loop.call_later, grace, lambda: self._each(lambda connection: connection.end()))
        loop.outside(loop.call_later, grace + 10.0, self.process.die)

    def shed(self) -> None:
        """Be so full that the strangers must go."""
        self._each(lambda connection: None if connection.authenticated else connection.shed())

    def left(self) -> Iterator[str]:
        """What an idle process should have given back."""
        yield from (f"{self.process.name}: {what} is {used()}" for what, used in self.budgets.items() if used())
        if self.draining:
            yield f"{self.process.name} doesn't come to its end"
        if self.connections:
            yield f"{self.process.name}: {len(self.connections)} connections are left"
        for task in self.process.tasks:
            if cast("Any", task)._log_traceback:
                yield f"{self.process.name}: nobody heard of {task.exception()!r}"
            if not task.done() and task not in self.background:
                yield f"{self.process.name}: a task is left: {task.get_coro()!r}".partition(" at 0x")[0]

    def begin(self, work: Coroutine[Any, Any, None]) -> None:
        """A task that lasts as long as the process."""
        self.background.append(self.world.loop.create_task(work))

    def _each(self, call: Callable[[Conversation], object]) -> None:
        for connection in list(self.connections):
            self.process.soon(partial(call, connection))


class Begun:
    """Asks for a blob as a client of S3 does that has threads: what will come is a future."""

    def __init__(self, stored: Any) -> None:
        self._stored = stored

    def begin(self, key: str, octets: int) -> "asyncio.Future[bytes]":
        """What a read gives."""
        return asyncio.get_running_loop().create_task(self._stored.read(key, 0, octets))


class FrontEnd(Running):
    """POP3."""

    def _build(self) -> None:
        turns = {name: Turns(name, bounds) for name, bounds in _bounds().items()}
        budgets = {"memory": Budget(4096, most=0.67), "listings": Budget(512, most=0.67), "ahead": Budget(8192)}
        self.index = self.port(self.world.index, "postgres")
        places = Places(self.port(self.world.allowances, "redis"))
        self.leases = Leases(self.port(self.world.locks, "redis"), self.index, places)
        reading = self._reading() if self.world.reads_on else None
        login = self._login(turns["hashing"], reading)
        stored = self.port(self.world.blobs, "objects")
        retrievals = [
            Retrieval(cast("Any", each)(stored, turns["store"]), Resumption()) for each in (FairBlobs, SpareBlobs)
        ]
        retrievals[1] = replace(retrievals[1], begun=SpareBegun(Begun(stored), turns["store"]))
        owners = Owners(self.port(self.world.owners, "postgres"), turns["domains"])
        pace = in_company(Pace(2))
        self.service = Pop3Service(
            login,
            Update(self.index, self.leases, reading.memory.forget if reading else lambda _: None),
            *(self.index, retrievals[0], self.port(self.world.allowances, "redis")),
            *(Limits(4096, budgets["ahead"], 3), budgets["memory"], budgets["listings"]),
            *(Announced, None, Pop3Options(autologout=IDLE, stall=STALL, buffered=4096, buffered_stranger=1024)),
            spare=retrievals[1],
            fairness=Fairness(owners, turns["sessions"], pace),
            listed=reading.listed if reading else lambda _held, _listing: None,
        )
        self.budgets = {
            **{name: partial(getattr, each, "used") for name, each in {**budgets, **turns}.items()},
            **{f"waiting for {name}": partial(getattr, each, "waiting") for name, each in turns.items()},
            "waiting for the loop": lambda: pace.waiting,
            "leases": lambda: len(self.leases),
            "places": lambda: len(places),
        }
        self.begin(self.leases.keep(RENEW_EVERY, _ignore))
        self.begin(self.leases.keep_releasing())
        self.begin(places.keep(RENEW_EVERY, _ignore))
        self.begin(places.keep_giving_back())

    def _made(self, peer: Peer) -> Conversation:
        return Pop3Connection(self.service, peer)

    def _reading(self) -> Reading:
        memory = Memory(self.clock, self.index, Remembered(120.0, 100, 100_000))
        return Reading(memory, self.port(self.world.showings, "redis"), 180.0)

    def _login(self, hashing: Turns, reading: Reading | None) -> Login:
        hashes = FairHashes(self.port(MemoryPasswordHashes(), "threads"), hashing)
        renewals = Renewals(hashes, self.port(self.world.verifiers, "postgres"))
        verification = Verification(hashes, verdicts := Verdicts(self.clock), renewals)
        reopening = self.port(MemoryReopening(self.world.state), "postgres")
        directory = self.port(self.world.directory, "postgres")
        if reading is not None:
            directory = OutageDirectory(directory, reading.memory, lambda: verification(None, ""))
        attempts = Standby(self.port(self.world.attempts, "redis"), MemoryAttempts(self.clock))
        guard = Guard(attempts, Rules(LIMITS), lately=Lately(clock=self.clock.monotonic))
        locks = self.port(self.world.locks, "redis")
        entrance = MemoryEntrance(locks, self.port(self.world.attempts, "redis"))
        return Login(
            *(directory, verification, locks, self.index, self.leases, self.clock),
            self.process.name,
            uses=Uses(self.port(self.world.uses, "postgres"), self.clock),
            guard=guard,
            reading=reading,
            again=Again(reopening, entrance, verdicts) if reading is None else None,
        )


class Lmtp(Running):
    """LMTP."""

    def _build(self) -> None:
        memory = TextMemory(1 << 26, most=0.67)
        reached = (self.port(self.world.directory, "postgres"), self.port(self.world.blobs, "objects"))
        found = FoundRecipients(self.clock, seconds=self.world.loop.dice.choice((0.0, RECALLED)))
        stores = DeliveryStores(*reached, self.port(self.world.index, "postgres"), self.clock, found)
        options = LmtpOptions(idle=IDLE, stall=STALL, buffered=4096)
        self.service = LmtpService(
            Delivery(stores, "mx.example", memory, stall=20.0), Terms("mx.example"), None, options
        )
        self.budgets = {"memory": lambda: memory.used, "waiting for memory": lambda: memory.waiting}

    def _made(self, peer: Peer) -> Conversation:
        return LmtpConnection(self.service, peer)


class Sweeper(Running):
    """The sweep, again and again."""

    def _build(self) -> None:
        reached = (self.port(self.world.sweepable, "postgres"), self.port(self.world.blobs, "objects"))
        self.sweep = Sweep(*reached, self.clock)
        self.begin(self._again_and_again())

    async def _again_and_again(self) -> None:
        while True:
            await asyncio.sleep(self.world.loop.dice.random() * 20.0)
            try:
                await self.sweep()
            except Refusal:
                continue


def _bounds() -> dict[str, Bounds]:
    return {
        "hashing": Bounds(2, queue=8, most=0.67),
        "domains": Bounds(2, queue=8, most=0.67),
        "store": Bounds(3, most=0.67, patience=8.0),
        "sessions": Bounds(6, queue=0, most=0.75),
    }


def _ignore(_refusal: Refusal | None) -> None:
    """Nobody is told."""
