"""Makes what a front end needs to let people read while Postgres is away, where the settings ask for it.

Owns which setting bounds what. Refuses to open anything: it uses the front end's own database and Redis.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

from service.app.clock import SystemClock
from service.mail.outage import Bounds, Memory, OutageDirectory, Reading
from service.mail.outside import OutsideAccounts
from service.mail.ports import MessageIndex
from service.mail.verification import Verification
from service.settings.outage import OutageSettings
from service.stores.redis import RedisShowings
from service.stores.redis.servers import Servers
from service.telemetry import watching
from service.telemetry.outage import Watched, read_only_login

MARGIN = 60.0
"""Seconds by which a showing outlives what is remembered of it."""


@asynccontextmanager
async def open_reading(
    settings: OutageSettings, index: MessageIndex, servers: Servers
) -> AsyncIterator[Reading | None]:
    """The steps around a login, or None where they aren't wanted."""
    if not settings.read_only:
        yield None
        return
    bounds = Bounds(settings.remember_seconds, settings.messages, settings.octets)
    memory = Memory(SystemClock(), index, bounds, Watched())
    showings = RedisShowings(servers, watching)
    try:
        yield Reading(memory, showings, settings.remember_seconds + MARGIN, read_only_login)
    finally:
        await memory.close()


def through_outages(directory: OutsideAccounts, reading: Reading | None, verification: Verification) -> OutsideAccounts:
    """The directory as logins see it: Postgres' part of it, and nothing else, may be remembered."""
    if reading is None:
        return directory
    remembering = OutageDirectory(directory.directory, reading.memory, lambda: verification(None, ""))
    return replace(directory, directory=remembering)


def ignored(*_: object) -> None:
    """Whoever would hear of a listing, where nothing is remembered."""
