"""Clients of the measure of fair shares: each says one script over and over, from an address of its own, cheaply.

Owns the conversation with the front end and what it took. Refuses to know who is heavy and what is proved.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import cast

LONGEST = 600.0
"""Seconds that a crowd may come."""


@dataclass(frozen=True, slots=True)
class Ask:
    """One command, what its step is called, and whether its response has many lines or may be a refusal."""

    line: str
    step: str
    multi_line: bool = False
    refused: bool = False


Script = Callable[[int], list[Ask]]
"""What the client of this number says between the greeting and QUIT."""


@dataclass
class Tally:
    """What clients saw: seconds of each step and of whole sessions, and the responses that weren't expected."""

    seconds: dict[str, list[float]] = field(default_factory=dict)
    unexpected: Counter[str] = field(default_factory=Counter)
    ended: int = 0
    came: int = 0
    """Clients whose first session is over, however it ended."""

    def took(self, step: str, seconds: float) -> None:
        self.seconds.setdefault(step, []).append(seconds)


class Talk(asyncio.Protocol):
    """One session: greeting, script, QUIT; `done` is set when the connection is closed."""

    def __init__(self, script: list[Ask], tally: Tally) -> None:
        self.done = asyncio.get_running_loop().create_future()
        self._asked = iter(script)
        self._tally = tally
        self._now: Ask | None = Ask("", "greeting")
        self._heard = b""
        self._began = self._since = time.monotonic()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._began = self._since = time.monotonic()

    def data_received(self, data: bytes) -> None:
        # The status line and the end are all that is looked at.
        self._heard = self._heard[:80] + (self._heard[80:] + data)[-80:] if self._heard else data
        if self._whole():
            self._answered()

    def connection_lost(self, error: Exception | None) -> None:
        if self._now is not None:
            self._tally.unexpected["closed"] += 1
        if not self.done.done():
            self.done.set_result(None)

    def _whole(self) -> bool:
        if self._now is None or not self._heard.endswith(b"\r\n"):
            return False
        return not self._now.multi_line or self._heard[:1] == b"-" or self._heard.endswith(b"\r\n.\r\n")

    def _answered(self) -> None:
        asked, now = self._now, time.monotonic()
        if asked is None:
            return
        if (self._heard[:1] == b"+") is asked.refused:
            self._tally.unexpected[self._heard[:40].decode("latin-1").strip()] += 1
            self._leave()
            return
        self._tally.took(asked.step, now - self._since)
        if asked.step == "QUIT":
            self._tally.took("session", now - self._began)
            self._leave()
            return
        self._heard, self._since = b"", now
        self._now = next(self._asked, Ask("QUIT", "QUIT"))
        self._transport.write(self._now.line.encode() + b"\r\n")

    def _leave(self) -> None:
        self._now = None
        self._transport.close()


@dataclass(frozen=True)
class Crowd:
    """So many clients at `port`, which each come every `interval` seconds, or as soon as they are done if later."""

    port: int
    clients: int
    interval: float
    network: int
    """Their addresses' number in 127.0.0.0/8 by /24; each further 250 clients have the next one."""

    async def come_for(self, seconds: float, script: Script, tally: Tally) -> None:
        """Come again and again for so long."""
        end = time.monotonic() + seconds
        await self.come(lambda: time.monotonic() >= end, script, tally)

    async def come(self, over: Callable[[], bool], script: Script, tally: Tally) -> None:
        """Come again and again until it is over, for some minutes at most."""
        async with asyncio.timeout(LONGEST):
            await asyncio.gather(*(self._keep_coming(n, over, script, tally) for n in range(self.clients)))

    async def _keep_coming(self, number: int, over: Callable[[], bool], script: Script, tally: Tally) -> None:
        # Spread over the interval, so that they don't all come at once.
        due = time.monotonic() + self.interval * number / self.clients
        first = 1
        while not over():
            await asyncio.sleep(due - time.monotonic())
            with suppress(ConnectionError):
                await self._session(number, script(number), tally)
            tally.ended += 1
            tally.came, first = tally.came + first, 0
            due = max(due + self.interval, time.monotonic())

    async def _session(self, number: int, script: list[Ask], tally: Tally) -> None:
        network = self.network + number // 250
        address = f"127.{network // 256}.{network % 256}.{number % 250 + 1}"
        loop = asyncio.get_running_loop()
        _, talk = await loop.create_connection(
            lambda: Talk(script, tally), "127.0.0.1", self.port, local_addr=(address, 0)
        )
        await talk.done
