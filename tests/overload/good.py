"""Good clients of one tenant, as a program: whole sessions, each from an address of its own, at a leisurely pace.

    python -m tests.overload.good PORT

Says "begun" once each has had a session, does sessions until its input ends, and then prints what `waits.Beside`
reads. A session is greeting, login, UIDL, two messages, QUIT. Refuses to know of any siege.
"""

import asyncio
import json
import os
import sys
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field

import uvloop

from service.protocol.proxy_sending import version_2
from tests.load.fair_clients import Ask, Talk, Tally
from tests.load.mail import SECRET
from tests.overload.accounts import GOOD, GOOD_MAILDROPS

CLIENTS = 8
INTERVAL = 0.08
"""Seconds from the beginning of one session of a client to that of its next, if that one has ended."""


@dataclass
class Sessions(Tally):
    """Keeps when each session began, and the steps of each as `Tally` does."""

    sessions: list[tuple[float, float]] = field(default_factory=list)

    def took(self, step: str, seconds: float) -> None:
        if step == "session":
            self.sessions.append((time.monotonic() - seconds, seconds))
        else:
            super().took(step, seconds)


class GoodTalk(Talk):
    """One session that comes through a balancer."""

    def __init__(self, name: str, header: bytes, tally: Tally) -> None:
        retrieved = [Ask(f"RETR {number}", "RETR", multi_line=True) for number in (1, 2)]
        login = [Ask(f"USER {name}", "USER"), Ask(f"PASS {SECRET}", "PASS")]
        super().__init__([*login, Ask("UIDL", "UIDL", multi_line=True), *retrieved], tally)
        self._header = header

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._transport.write(self._header)


async def one_session(port: int, number: int, tally: Tally) -> None:
    name = f"user{number % GOOD_MAILDROPS}@{GOOD}.example"
    header = version_2((f"192.0.2.{number % GOOD_MAILDROPS + 1}", 40_000), ("127.0.0.1", port), "TLSv1.3")
    loop = asyncio.get_running_loop()
    with suppress(ConnectionError):
        _, talk = await loop.create_connection(lambda: GoodTalk(name, header, tally), "127.0.0.1", port)
        await talk.done


async def keep_coming(port: int, client: int, tally: Tally, over: asyncio.Event) -> None:
    number, loop = client, asyncio.get_running_loop()
    while True:
        due = loop.time() + INTERVAL
        await one_session(port, number, tally)
        # Each client has accounts of its own, so that none finds its maildrop in use.
        number += CLIENTS
        if over.is_set():
            return
        await asyncio.sleep(max(0.0, due - loop.time()))


async def main(port: int) -> None:
    tally, over, loop = Sessions(), asyncio.Event(), asyncio.get_running_loop()
    await asyncio.gather(*(one_session(port, number, Sessions()) for number in range(CLIENTS)))
    os.write(1, b"begun\n")
    loop.add_reader(0, lambda: None if os.read(0, 100) else over.set())
    clients = [keep_coming(port, client, tally, over) for client in range(CLIENTS)]
    await asyncio.gather(*clients)
    unexpected: Counter[str] = tally.unexpected
    told = {"sessions": tally.sessions, "unexpected": unexpected, "steps": tally.seconds}
    os.write(1, json.dumps(told).encode() + b"\n")


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))
