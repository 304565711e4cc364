"""What mail programs and mail servers do, one function each, and many of them at once.

Owns the clients. Refuses to measure: whoever calls reads the books before and after. Any answer but the good one
raises.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from tests.load.costs.rig import PASSWORD


class Refused(Exception):
    """An answer that isn't the good one."""


class Client:
    """One POP3 session."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def ask(self, command: str) -> str:
        """The first line of the response, which must be a good one."""
        self._writer.write(command.encode() + b"\r\n")
        status = (await self._reader.readline()).decode()
        if not status.startswith("+OK"):
            raise Refused(f"{command.partition(' ')[0]}: {status}")
        return status

    async def multi_line(self, command: str) -> None:
        """Read a whole multi-line response, perhaps an empty one."""
        await self.ask(command)
        line = b""
        while line != b".\r\n":
            line = await self._reader.readline()
            if not line:
                raise Refused(f"{command}: cut")


Work = Callable[[int], Awaitable[None]]
AT_ONCE = 8


async def many(count: int, work: Work, at_once: int = AT_ONCE) -> None:
    """`work` of 0, 1, ... count - 1, so many at once."""
    numbers = iter(range(count))

    async def hand() -> None:
        for number in numbers:
            await work(number)

    await asyncio.gather(*(hand() for _ in range(at_once)))


@asynccontextmanager
async def session(port: int, name: str, tls: ssl.SSLContext | None = None) -> AsyncIterator[Client]:
    """A POP3 session, logged in, that ends with QUIT."""
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", port, limit=1 << 24, ssl=tls, server_hostname="localhost" if tls else None
    )
    try:
        await reader.readline()
        client = Client(reader, writer)
        await client.ask(f"USER {name}")
        await client.ask(f"PASS {PASSWORD}")
        yield client
        await client.ask("QUIT")
    finally:
        writer.close()


async def poll(port: int, name: str, *, uidl: bool, tls: ssl.SSLContext | None = None) -> None:
    """A look for new mail, by the counters alone or by the unique-id listing."""
    async with session(port, name, tls) as client:
        await client.ask("STAT")
        if uidl:
            await client.multi_line("UIDL")


async def fetch(
    port: int, name: str, numbers: range, *, remove: bool = False, tls: ssl.SSLContext | None = None
) -> None:
    """A look by the unique-id listing, then these messages, in order; perhaps they are removed."""
    async with session(port, name, tls) as client:
        await client.ask("STAT")
        await client.multi_line("UIDL")
        for number in numbers:
            await client.multi_line(f"RETR {number}")
            if remove:
                await client.ask(f"DELE {number}")


async def tops(port: int, name: str, numbers: range) -> None:
    """The headers of these messages."""
    async with session(port, name) as client:
        for number in numbers:
            await client.multi_line(f"TOP {number} 0")


async def deliver(port: int, recipients: list[str], text: bytes) -> None:
    """One LMTP transaction in a connection of its own."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)

    async def ask(words: bytes, replies: int = 1) -> None:
        writer.write(words)
        await writer.drain()
        for _ in range(replies):
            while True:
                line = await reader.readline()
                if line[:1] not in b"23" or not line:
                    raise Refused(line.decode())
                if line[3:4] != b"-":
                    break

    await ask(b"")
    await ask(b"LHLO load.example\r\n")
    await ask(b"MAIL FROM:<sender@example.com>\r\n")
    for recipient in recipients:
        await ask(f"RCPT TO:<{recipient}>\r\n".encode())
    await ask(b"DATA\r\n")
    await ask(text + b".\r\n", len(recipients))
    await ask(b"QUIT\r\n")
    writer.close()


def letter(octets: int) -> bytes:
    """A message of about so many octets, in lines of 78."""
    head = b"From: a@a.example\r\nTo: b@b.example\r\nSubject: load\r\nMessage-ID: <a@a.example>\r\n\r\n"
    return head + (b"x" * 76 + b"\r\n") * max(1, (octets - len(head)) // 78)
