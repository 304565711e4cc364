"""Hostile clients, as a program: very many connections from one cheap process, each from an address of its own.

    python -m tests.overload.hostile KIND JSON

Says "there" once all are where they want to be, and stays until its input ends; then prints what they heard, by first
words. Which kinds there are stands in `KINDS`. It stands back behind all else, as other machines would.
"""

import asyncio
import json
import os
import socket
import sys
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, cast

import uvloop

from service.protocol.proxy_sending import version_2
from tests.overload.standing_back import stand_back


@dataclass
class Siege:
    """What the clients of one kind share; `options` are the kind's own."""

    port: int
    clients: int
    options: dict[str, Any]
    heard: Counter[str] = field(default_factory=Counter)
    over: asyncio.Event = field(default_factory=asyncio.Event)
    held: list["Client"] = field(default_factory=list)
    all_held: asyncio.Event = field(default_factory=asyncio.Event)

    def hold(self, client: "Client") -> None:
        """Keep the client to the end."""
        self.held.append(client)
        if len(self.held) == self.clients:
            self.all_held.set()

    def header(self, number: int, tls: str = "TLSv1.3") -> bytes:
        """The balancer's, with an address of 198.18.0.0/15, the range for benchmarks (RFC 2544)."""
        address = f"198.{18 + (number >> 16) % 2}.{number >> 8 & 255}.{number & 255}"
        return version_2((address, 40_000), ("127.0.0.1", self.port), tls)

    def name(self, number: int) -> str:
        """The hostile account of this number; each tenant has as many."""
        tenants = self.options["tenants"]
        return f"user{number // len(tenants)}@{tenants[number % len(tenants)]}.example"

    async def connect(self, number: int, opening: bytes, tls: str = "TLSv1.3") -> "Client":
        """A client that has sent the header and `opening`; what it can't read soon fills no buffer of its own."""
        loop, sock = asyncio.get_running_loop(), socket.socket()
        sock.setblocking(False)
        if "receive_buffer" in self.options:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self.options["receive_buffer"])
        await loop.sock_connect(sock, ("127.0.0.1", self.port))
        _, client = await loop.create_connection(lambda: Client(self.heard), sock=sock)
        client.send(self.header(number, tls) + opening)
        return client

    async def few_at_a_time(self, work: Any, at_once: int = 64) -> None:
        """Do `work(number)` for each client, some at a time."""
        numbers = iter(range(self.clients))

        async def worker() -> None:
            for number in numbers:
                await work(number)

        await asyncio.gather(*(worker() for _ in range(at_once)))


class Client(asyncio.Protocol):
    """One connection: counts what it hears by its first words."""

    def __init__(self, heard: Counter[str]) -> None:
        self.closed = False
        self.octets = 0
        self._heard = heard
        self._rest = b""
        self._lines: asyncio.Queue[bytes] = asyncio.Queue()
        self.listens = True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self.octets += len(data)
        if not self.listens:
            return
        *lines, self._rest = (self._rest + data).split(b"\r\n")
        for line in lines:
            self._lines.put_nowait(line)

    def connection_lost(self, error: Exception | None) -> None:
        self.closed = True
        self._lines.put_nowait(b"(closed)")

    def send(self, octets: bytes) -> None:
        self.transport.write(octets)

    async def line(self) -> bytes:
        """The next line; "(closed)" at the end. What it begins with is counted."""
        line = await self._lines.get()
        self._heard[" ".join(line.decode("latin-1").split()[:2])[:24]] += 1
        return line

    async def log_in(self, name: str, secret: str) -> bool:
        """Whether that went well, once the greeting was heard."""
        await self.line()
        self.send(f"USER {name}\r\n".encode())
        await self.line()
        self.send(f"PASS {secret}\r\n".encode())
        return (await self.line()).startswith(b"+OK")


async def stay(siege: Siege) -> None:
    """Say that all are there, and wait for the end."""
    os.write(1, b"there\n")
    await siege.over.wait()


async def main(kind: str, options: dict[str, Any]) -> None:
    from tests.overload.kinds import KINDS

    stand_back(apart=options.get("apart", False))
    siege = Siege(options["port"], options["clients"], options)
    asyncio.get_running_loop().add_reader(0, lambda: None if os.read(0, 100) else siege.over.set())
    await KINDS[kind](siege)
    closed = sum(client.closed for client in siege.held)
    told = {"heard": siege.heard, "closed": closed, "octets": sum(client.octets for client in siege.held)}
    for client in siege.held:
        client.transport.abort()
    os.write(1, json.dumps(told).encode() + b"\n")


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1], json.loads(sys.argv[2])))
