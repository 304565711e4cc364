"""The smallest whole Connection: it says who it thinks the client is and repeats lines.

STLS steps up, AUTH proves, BUSY and DONE frame something that a drain has to wait for, QUIT closes.
"""

import asyncio
import ssl
from contextlib import suppress
from typing import cast

from service.net.connection import Connection
from service.net.peer import Peer
from service.net.tls import start_tls, tls_facts


class Parrot(Connection):
    def __init__(self, peer: Peer, context: ssl.SSLContext | None = None, handshake_seconds: float = 30) -> None:
        super().__init__()
        self.peer = peer
        self.lines: list[bytes] = []
        self.heard = asyncio.Event()
        self.lost = 0
        self._context = context
        self._handshake_seconds = handshake_seconds
        self._transport: asyncio.Transport | None = None
        self._last_word = b""
        self._ended = False
        self._busy = False
        self._buffer = b""
        self._step: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._learn()
        if self._ended:
            self._transport.abort()
        elif self._last_word:
            self._finish()
        else:
            self._say(f"+OK {self.peer.address} {self.peer.port}")

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while b"\r\n" in self._buffer:
            line, _, self._buffer = self._buffer.partition(b"\r\n")
            self.lines.append(line)
            self.heard.set()
            self._obey(line)

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost += 1
        self.gone()

    def shed(self) -> None:
        self._leave(b"-ERR shed")

    def drain(self) -> None:
        self._leave(b"-ERR drain")

    def end(self) -> None:
        self._ended = True
        if self._transport:
            self._transport.abort()

    def _obey(self, line: bytes) -> None:
        match line:
            case b"STLS":
                self._step_up()
            case b"AUTH":
                self.authenticated = True
                self._say("+OK")
            case b"BUSY" | b"DONE":
                self._busy = line == b"BUSY"
                self._say("+OK")
                if self._last_word and not self._busy:
                    self._finish()
            case b"QUIT":
                self._leave(b"+OK bye")
            case _:
                self._say(line.decode("latin-1"))

    def _step_up(self) -> None:
        assert self._transport
        self._buffer = b""
        self._transport.pause_reading()
        self._say("+OK")
        self._step = asyncio.get_running_loop().create_task(self._handshake(self._transport))

    async def _handshake(self, transport: asyncio.Transport) -> None:
        assert self._context
        with suppress(OSError):
            self._transport = await start_tls(transport, self, self._context, self.in_turn, self._handshake_seconds)
            self._learn()

    def _learn(self) -> None:
        assert self._transport
        facts = tls_facts(self._transport)
        if facts:
            self.peer = self.peer.secured(facts)

    def _leave(self, word: bytes) -> None:
        if not self._last_word:
            self._last_word = word
            if self._transport and not self._busy:
                self._finish()

    def _finish(self) -> None:
        assert self._transport
        self._transport.write(self._last_word + b"\r\n")
        self._transport.close()

    def _say(self, text: str) -> None:
        assert self._transport
        self._transport.write(text.encode("latin-1") + b"\r\n")
