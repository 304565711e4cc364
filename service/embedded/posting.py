"""A small LMTP client: hands letters to a listener over a real socket.

Owns one connection and its pace; understands that LMTP replies once for each recipient, which the
standard library's client does not. Refuses to know whose listener it is.
RFC 2033 §4.2 (one reply a recipient), RFC 5321 §4.5.2 (transparency), RFC 6152, RFC 6531 §3.4.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager

from service.embedded.corpus import Letter
from service.embedded.process import EmbeddedError

SECONDS_A_REPLY = 60.0


class Poster:
    """One LMTP connection after its greeting and LHLO."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def post(self, letter: Letter) -> Sequence[str]:
        """Deliver one letter; the reply to each recipient, in order.

        Raises EmbeddedError when the listener refuses it before the end of mail data.
        """
        options = " BODY=8BITMIME" + (" SMTPUTF8" if letter.utf8 else "")
        await self.say(f"MAIL FROM:<{letter.sender}>{options}", "250")
        for recipient in letter.recipients:
            await self.say(f"RCPT TO:<{recipient}>", "250")
        await self.say("DATA", "354")
        # RFC 5321 §4.5.2: "the SMTP client checks the first character of the line. If it is a period, one additional
        # period is inserted at the beginning of the line."
        stuffed = re.sub(rb"^\.", b"..", letter.content, flags=re.MULTILINE)
        self._writer.write(stuffed + (b".\r\n" if stuffed.endswith(b"\r\n") else b"\r\n.\r\n"))
        await self._writer.drain()
        # RFC 2033 §4.2: "the server returns one reply for each previously successful RCPT command in the mail
        # transaction, in the order that the RCPT commands were issued."
        return [await self.reply("250") for _ in letter.recipients]

    async def say(self, line: str, wanted: str) -> str:
        """Send a command; its reply, which must begin with the code `wanted`."""
        self._writer.write(line.encode() + b"\r\n")
        return await self.reply(wanted)

    async def reply(self, wanted: str) -> str:
        """The next reply's last line, which must begin with the code `wanted`. Raises EmbeddedError if not."""
        async with asyncio.timeout(SECONDS_A_REPLY):
            line = await self._reader.readline()
            while line[3:4] == b"-":
                line = await self._reader.readline()
        if not line.startswith(wanted.encode()):
            raise EmbeddedError(f"The LMTP listener answered {line.decode(errors='replace').strip()!r}.")
        return line.decode().strip()


@asynccontextmanager
async def connected(host: str, port: int) -> AsyncIterator[Poster]:
    """A connection to an LMTP listener, ended with QUIT."""
    reader, writer = await asyncio.open_connection(host, port)
    poster = Poster(reader, writer)
    try:
        await poster.reply("220")
        await poster.say("LHLO letters.example", "250")
        yield poster
        await poster.say("QUIT", "221")
    finally:
        writer.close()


async def post_all(host: str, port: int, letters: Iterable[Letter]) -> AsyncIterator[Letter]:
    """Deliver letters one after the other over one connection, giving each back once it is delivered."""
    async with connected(host, port) as poster:
        for letter in letters:
            await poster.post(letter)
            yield letter
