"""What the protocols of one process share.

Owns the grouping and the measuring of pools. Refuses to know either protocol.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from service.app.background import Background
from service.app.databases import open_database
from service.app.waiting import Waiting
from service.mail.events import Events
from service.mail.ports import NearBlobs
from service.mail.turns import Turns
from service.settings import Settings
from service.settings.systems import Role
from service.stores.postgres.database import Database
from service.telemetry import systems
from service.telemetry.spans import Tracer

MEASURE_EVERY = 5.0


@dataclass(frozen=True, slots=True)
class Shared:
    """Settings, blobs, background tasks, the event stream, the tracer and those who wait of a process."""

    settings: Settings
    blobs: NearBlobs
    tasks: Background
    events: Events
    tracer: Tracer
    waiting: Waiting = field(default_factory=Waiting)

    @asynccontextmanager
    async def database(self, role: Role, turns: Turns | None = None) -> AsyncIterator[Database]:
        """The pool with this role's login, its use told to the metrics, and its connections given in turn."""
        async with open_database(self.settings.database, role, turns) as database:

            async def measure() -> None:
                stats = database.stats()
                systems.pool(role, stats.connections - stats.idle, stats.idle, stats.waiting)

            self.tasks.every(f"pool of {role}", MEASURE_EVERY, measure)
            yield database
