"""The HTTP API, with the stores it stands on.

Owns which login and hashes it uses. Refuses to connect at the start: Postgres and Redis may come later.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

from starlette.types import ASGIApp

from service.admin.access import House
from service.admin.application import admin_app
from service.app.clock import SystemClock
from service.app.databases import open_database
from service.app.guarding import blocks_of, staff_guard
from service.app.hashing import open_hashes
from service.app.leasing import open_locks, open_recent
from service.app.provisioning import PATIENCE
from service.mail.passwords import Passwords
from service.mail.tokens import TokenOffice
from service.model.saslprep import prepare
from service.settings import Settings
from service.stores.postgres.tokens import PostgresTokens
from service.stores.postgres.units import PostgresUnits


@asynccontextmanager
async def admin_api(settings: Settings) -> AsyncIterator[ASGIApp]:
    """The API as an application, until the block ends."""
    # Its own pool for tokens, within the usual deadline: a request is refused soon when the database is away, and the
    # removal of a large tenant may still take its time.
    longer = settings.database.model_copy(update={"deadline": max(PATIENCE, settings.database.deadline)})
    async with (
        open_database(settings.database, "api") as asked,
        open_database(longer, "api") as written,
        open_locks(settings) as locks,
        open_recent(settings) as recent,
        open_hashes(settings.hashing) as hashes,
    ):
        clock, guard = SystemClock(), staff_guard(settings, locks)
        passwords = Passwords(hashes, prepare, clock, scram=settings.hashing.scram)
        retention = timedelta(days=settings.sweep.removed_retention_days)
        tokens = TokenOffice(PostgresTokens(asked), clock)
        units, default = PostgresUnits(written), settings.directory.default
        blocks = blocks_of(settings, locks)
        asked_for = settings.tls.client_ca is not None
        yield admin_app(
            House(tokens, units, locks, passwords, retention, recent, clock, blocks, default, guard, asked_for)
        )
