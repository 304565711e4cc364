"""Makes Postgres out of the settings.

Owns which setting goes where, and that the pool is opened and closed. Refuses to know what it is used for. Nothing
here connects: the database may be down when a process starts, and come later.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from service.app.clock import SystemClock
from service.mail.turns import Turns
from service.mail.uses import Uses
from service.mail.whose import WHOSE
from service.settings.systems import DatabaseSettings, Role
from service.stores.postgres.database import Database, DatabaseOptions
from service.stores.postgres.fair import FairDatabase
from service.stores.postgres.observed import ObservedDatabase
from service.stores.postgres.uses import PostgresLastUses
from service.telemetry import watching


@asynccontextmanager
async def open_database(settings: DatabaseSettings, role: Role, turns: Turns | None = None) -> AsyncIterator[Database]:
    """The pool of connections with this role's login. Raises Refusal(UNAVAILABLE) for a URL that can't be read."""
    url, options = settings.url_for(role), database_options(settings, role)
    database = (
        FairDatabase(url, options, watching, turns, WHOSE.get) if turns else ObservedDatabase(url, options, watching)
    )
    await database.open()
    try:
        yield database
    finally:
        await database.close()


def database_options(settings: DatabaseSettings, role: Role) -> DatabaseOptions:
    """How a process of this role uses Postgres; its name shows in pg_stat_activity."""
    return DatabaseOptions(
        application_name=f"poplar {role}",
        connections=settings.connections,
        deadline=settings.deadline,
        attempt=min(settings.attempt, settings.deadline),
        statement_cache=settings.statement_cache,
        server_limits=settings.server_limits,
    )


@asynccontextmanager
async def open_uses(database: Database) -> AsyncIterator[Uses]:
    """What keeps when credentials were last used, in `database`."""
    uses = Uses(PostgresLastUses(database), SystemClock())
    try:
        yield uses
    finally:
        await uses.close()
