"""A front end over in-memory stores: real sockets, real TLS, real sessions."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial

from service.mail.budget import Budget
from service.mail.events import Events, Unheard
from service.mail.fairness import Fairness
from service.mail.scram import ScramChallenges
from service.model.policy import Announced
from service.net.admission import Admission
from service.net.arrival import ListenerSpec
from service.net.listener import Listener, Reception
from service.net.peer import Peer, TlsMode
from service.net.pop3 import Pop3Connection
from service.net.pop3_offer import Offer
from service.net.pop3_service import Pop3Options, Pop3Service
from service.stores.memory.allowances import MemoryAllowances
from tests.mail.house import ADDRESS, SECRET, House
from tests.net.wire import Wire

LOGIN = f"USER {ADDRESS}\r\nPASS {SECRET}\r\n".encode()


@dataclass
class Front:
    """One listener; `connections` are those it made."""

    house: House
    options: Pop3Options = field(default_factory=lambda: Pop3Options(failure_delay=0))
    context: ssl.SSLContext | None = None
    memory: Budget = field(default_factory=lambda: Budget(1 << 24))
    listings: Budget = field(default_factory=lambda: Budget(1 << 24))
    fairness: Fairness = field(default_factory=Fairness)
    admission: Admission = field(default_factory=lambda: Admission(1000))
    connections: list[Pop3Connection] = field(default_factory=list)
    port: int = 0
    events: Events = field(default_factory=Unheard)
    scram: ScramChallenges | None = None

    def _made(self, service: Pop3Service, peer: Peer) -> Pop3Connection:
        self.connections.append(Pop3Connection(service, peer))
        return self.connections[-1]

    @asynccontextmanager
    async def listening(self, tls: TlsMode = TlsMode.TERMINATED) -> AsyncIterator[Listener]:
        house = self.house
        service = Pop3Service(
            house.login,
            house.update,
            house.index,
            house.retrieval,
            MemoryAllowances(house.clock),
            house.ahead,
            self.memory,
            self.listings,
            Announced,
            self.context,
            self.options,
            events=self.events,
            fairness=self.fairness,
            scram=self.scram,
            offer=Offer(scram=self.scram is not None),
        )
        reception = Reception(partial(self._made, service), self.admission, self.context)
        listener = Listener(ListenerSpec("test", "127.0.0.1", 0, tls), reception)
        self.port = listener.start()
        try:
            yield listener
        finally:
            listener.end()
            await listener.wait_closed()

    async def client(self) -> Wire:
        """A connected client that has read the greeting."""
        wire = await Wire.to(self.port)
        assert (await wire.line()).startswith(b"+OK Poplar")
        return wire

    async def logged_in(self) -> Wire:
        """A client in TRANSACTION."""
        wire = await self.client()
        await wire.send(LOGIN)
        assert (await wire.line()).startswith(b"+OK")
        assert (await wire.line()).startswith(b"+OK")
        return wire


async def read_multi_line(wire: Wire) -> list[bytes]:
    """The lines of a multi-line response, unstuffed, its status line first."""
    lines = [await wire.line()]
    while lines[-1] != b"." or len(lines) == 1:
        lines.append(await wire.line())
    return [lines[0], *(line.removeprefix(b".") for line in lines[1:-1])]


async def until(condition: Callable[[], object], seconds: float = 10.0) -> None:
    """Wait until `condition()` holds; fail after a generous time."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - there is no event to wait for
            await asyncio.sleep(0.005)
