"""A client's connection, spoken to in lines.

Owns how long a client waits, and how it sends: at once or an octet at a time. Refuses to know a protocol.
"""

import asyncio
import random
from contextlib import suppress
from dataclasses import dataclass

from tests.backends.demo import Place

PATIENCE = 60.0
"""Seconds that a client waits for an answer, as mail programs do."""
WELCOME = 5.0
"""Seconds for a greeting, after which it tries elsewhere, as behind a balancer that looks after its servers."""
LONGEST = 1 << 20


class LineLostError(Exception):
    """The connection ended, or nothing came for as long as a client waits."""


@dataclass(eq=False)
class Line:
    """One connection; `slow` sends an octet at a time."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    slow: bool = False

    async def say(self, octets: bytes) -> None:
        """Send. Raises LineLostError."""
        try:
            async with asyncio.timeout(PATIENCE):
                if self.slow and len(octets) < 200:
                    for octet in octets:
                        if self.writer.is_closing():
                            raise LineLostError
                        self.writer.write(bytes([octet]))
                        await asyncio.sleep(0.002)
                else:
                    self.writer.write(octets)
                await self.writer.drain()
        except OSError as error:
            raise LineLostError from error

    async def hear(self) -> bytes:
        """The next line, with its end. Raises LineLostError."""
        try:
            async with asyncio.timeout(PATIENCE):
                line = await self.reader.readline()
        except (OSError, ValueError) as error:
            raise LineLostError from error
        if not line.endswith(b"\n"):
            raise LineLostError
        return line

    async def ask(self, command: bytes) -> bytes:
        """Send a command; the first line of its answer. Raises LineLostError."""
        await self.say(command + b"\r\n")
        return await self.hear()

    async def lines(self) -> list[bytes]:
        """The lines of a multi-line response to its dot, unstuffed. Raises LineLostError."""
        found = []
        while (line := await self.hear()) != b".\r\n":
            found.append(line.removeprefix(b"."))
        return found

    def drop(self) -> None:
        """Be gone at once."""
        self.writer.transport.abort()

    async def close(self) -> None:
        with suppress(OSError):
            self.writer.close()
            async with asyncio.timeout(1):
                await self.writer.wait_closed()
        self.drop()


async def dial(place: Place, dice: random.Random) -> Line:
    """A connection whose greeting was heard. Raises LineLostError where there is none, or a refusal."""
    try:
        async with asyncio.timeout(WELCOME):
            reader, writer = await asyncio.open_connection(place.host, place.port, limit=LONGEST)
    except OSError as error:
        raise LineLostError from error
    line = Line(reader, writer, slow=dice.random() < 0.05)
    try:
        async with asyncio.timeout(WELCOME):
            welcome = (await line.hear()).startswith((b"+OK", b"220"))
    except TimeoutError as error:
        line.drop()
        raise LineLostError from error
    except BaseException:
        line.drop()
        raise
    if not welcome:
        line.drop()
        raise LineLostError
    return line
