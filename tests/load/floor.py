"""The smallest server in Python that answers the load's polls and handshakes: what language and systems cost alone.

    python -m tests.load.floor < SETTINGS        as JSON: dsn, redis, secret, pop3, pop3s, certificate, key

Owns a floor below which no front end of Poplar's can come: the same statement and the same leases for each login, the
same responses, one line of log. It verifies no password but one, bounds nothing, shares nothing out, counts nothing,
gives up nobody and believes whoever comes: it is no server for anybody. Poplar's own code is used for the texts of
statements and scripts alone. A second process of it shares the ports.
"""

import asyncio
import json
import os
import ssl
import sys
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any
from uuid import UUID

import asyncpg
import hiredis
import uvloop

from service.model.account import MaildropKey
from service.stores.postgres.directory import FIND
from service.stores.postgres.reopening import REOPEN
from service.stores.redis.keys import lease_keys
from service.stores.redis.scripts import ACQUIRE, RELEASE, Script
from tests.load.mail import SECRET

CONNECTIONS = 4
"""To Postgres; each has one statement under way."""
LEASE_MILLISECONDS = 30_000
BACKLOG = 1024
HEADER_OCTETS = 16
"""Of a PROXY header (version 2), before the addresses."""
Answered = Callable[[Any], None]


class Redis(asyncio.Protocol):
    """Commands of one round of the event loop in one write; answers in order."""

    def __init__(self) -> None:
        self._reader = hiredis.Reader()
        self._waiting: deque[Answered] = deque()
        self._queued: list[bytes] = []
        self._loop = asyncio.get_running_loop()
        self._transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def ask(self, *words: str | bytes | int, answered: Answered) -> None:
        """Have one command's answer told."""
        if not self._queued:
            self._loop.call_soon(self._flush)
        self._queued.append(hiredis.pack_command(words))  # type: ignore[arg-type]
        self._waiting.append(answered)

    def data_received(self, data: bytes) -> None:
        self._reader.feed(data)
        while (answer := self._reader.gets()) is not False:
            self._waiting.popleft()(answer)

    def _flush(self) -> None:
        self._transport.write(b"".join(self._queued))
        self._queued = []


class Statement:
    """One prepared statement on a few connections that asyncpg made; whoever finds all busy waits in line."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._idle: list[tuple[asyncpg.Connection[asyncpg.Record], Any]] = []
        self._waiting: deque[asyncio.Future[Any]] = deque()

    async def open(self, dsn: str) -> None:
        """Connect, and prepare it on each connection."""
        settings = {"jit": "off", "plan_cache_mode": "force_generic_plan"}
        for _ in range(CONNECTIONS):
            connection = await asyncpg.connect(dsn, server_settings=settings)
            # Below asyncpg's own checks, which are no part of the floor.
            prepared: Any = await connection.prepare(self._text)
            self._idle.append((connection, prepared._state))

    async def rows(self, *values: object) -> list[Any]:
        """What it finds."""
        if self._idle:
            taken = self._idle.pop()
        else:
            waiting = asyncio.get_running_loop().create_future()
            self._waiting.append(waiting)
            taken = await waiting
        connection, state = taken
        try:
            protocol: Any = connection._protocol  # type: ignore[attr-defined]
            found: list[Any] = await protocol.bind_execute(state, values, "", 0, False, None)
            return found
        finally:
            if self._waiting:
                self._waiting.popleft().set_result(taken)
            else:
                self._idle.append(taken)


class Site:
    """What all connections share."""

    def __init__(self, redis: Redis, find: Statement, reopen: Statement) -> None:
        self.redis = redis
        self.find = find
        self.reopen = reopen
        self.seen: dict[str, tuple[tuple[str, str], bytes, tuple[str, str]]] = {}
        """By address: its parts, what its account was when it was found, its lease's keys."""

    async def account(self, address: str) -> tuple[tuple[str, str], bytes, tuple[str, str]]:
        """Found once."""
        known = self.seen.get(address)
        if known is None:
            local, _, domain = address.partition("@")
            row = (await self.find.rows(domain, local))[0]
            keys = lease_keys(MaildropKey(UUID(str(row["tenant_id"])), UUID(str(row["maildrop_id"]))))
            known = self.seen[address] = ((domain, local), row["seen"], keys)
        return known


class Floor(asyncio.Protocol):
    """One connection: a line, a response. The client of the load sends one line at a time and waits."""

    def __init__(self, site: Site, proxied: bool) -> None:
        self._site = site
        self._proxied = proxied
        self._address = ""
        self._token = ""
        self._keys: tuple[str, str] = ("", "")
        self._counters: Any = None
        self._began = time.monotonic()
        self._transport: Any = None
        self._task: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        if not self._proxied:
            self._transport.write(b"+OK ready\r\n")

    def data_received(self, data: bytes) -> None:
        if self._proxied:
            self._proxied = False
            self._transport.write(b"+OK ready\r\n")
            data = data[HEADER_OCTETS + int.from_bytes(data[14:16], "big") :]
            if not data:
                return
        verb, _, argument = data[:-2].partition(b" ")
        if verb == b"USER":
            self._address = argument.decode()
            self._transport.write(b"+OK\r\n")
        elif verb == b"PASS" and argument.decode() == SECRET:
            self._task = asyncio.get_running_loop().create_task(self._log_in())
        elif verb == b"STAT":
            self._transport.write(b"+OK %d %d\r\n" % (self._counters[0], self._counters[1]))
        elif verb == b"QUIT":
            self._quit()

    async def _log_in(self) -> None:
        site = self._site
        names, seen, self._keys = await site.account(self._address)
        self._token = os.urandom(16).hex()
        free = asyncio.get_running_loop().create_future()
        holder = json.dumps({"address": self._address, "token": self._token})
        _run(site.redis, ACQUIRE, self._keys, self._token, LEASE_MILLISECONDS, holder, answered=free.set_result)
        if await free != 1:
            self._transport.write(b"-ERR [IN-USE] another session has it\r\n")
            return
        self._counters = (await site.reopen.rows(*names, seen, self._token))[0]
        self._transport.write(b"+OK\r\n")

    def _quit(self) -> None:
        if self._token:
            _run(self._site.redis, RELEASE, self._keys, self._token, "evicted", answered=self._released)
        else:
            self._released(1)

    def _released(self, _answer: object) -> None:
        self._transport.write(b"+OK\r\n")
        self._transport.close()
        line = {"event": "session", "address": self._address, "seconds": round(time.monotonic() - self._began, 6)}
        os.write(1, json.dumps(line).encode() + b"\n")


def _run(redis: Redis, script: Script, keys: tuple[str, str], *words: str | int, answered: Answered) -> None:
    redis.ask("EVALSHA", script.digest, 2, *keys, *words, answered=answered)


async def main(settings: dict[str, Any]) -> None:
    """Serve until it is ended."""
    loop = asyncio.get_running_loop()
    _, redis = await loop.create_connection(Redis, *settings["redis"])
    redis.ask("AUTH", settings["secret"], answered=lambda _: None)
    for script in (ACQUIRE, RELEASE):
        redis.ask("SCRIPT", "LOAD", script.text, answered=lambda _: None)
    find, reopen = Statement(FIND), Statement(REOPEN)
    await find.open(settings["dsn"])
    await reopen.open(settings["dsn"])
    site = Site(redis, find, reopen)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(settings["certificate"], settings["key"])
    context.num_tickets = 0
    for port, tls in (("pop3", None), ("pop3s", context)):
        made = partial(Floor, site, tls is None)
        await loop.create_server(made, "127.0.0.1", settings[port], ssl=tls, reuse_port=True, backlog=BACKLOG)
    os.write(1, b"serving\n")
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(main(json.load(sys.stdin)))
