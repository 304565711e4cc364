"""Applies the ordered SQL files of `migrations/`, each once and each in a transaction of its own.

Owns the table `schema_migrations` and the lock that lets two pods migrate at once, and that rights are looked after
once all are applied. Refuses to know what the files say; a file that was changed after it was applied is refused.
"""

import hashlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib.resources import files

import asyncpg

from service.model.refusal import Reason, Refusal
from service.stores.hosts import Connection, Hosts
from service.stores.postgres.errors import VENDOR_ERRORS, refusal_of
from service.stores.postgres.rights import lacking, make_good

LOCK = 0x706F706C6172
"""The advisory lock of Poplar's migrations: its name in ASCII."""
SCHEMA = "public"
"""Where all tables are: the functions that run with their owner's rights name it."""
CONNECTING = 10.0
"""Seconds for all hosts of a URL."""
LOCK_WAIT = "10s"
"""How long a migration may wait for a table that is in use before it gives up and rolls back."""

_TABLE = """
CREATE TABLE IF NOT EXISTS schema_migrations (
    version text PRIMARY KEY, checksum text NOT NULL, applied timestamptz NOT NULL DEFAULT now()
)"""


@dataclass(frozen=True, slots=True)
class Migration:
    """One file: `version` is its name without `.sql`."""

    version: str
    sql: str

    @property
    def checksum(self) -> str:
        """SHA-256 of the text, in hexadecimal."""
        return hashlib.sha256(self.sql.encode()).hexdigest()


def migrations() -> list[Migration]:
    """All migrations of this release, in order."""
    found = (f for f in files("service.stores.postgres").joinpath("migrations").iterdir() if f.name.endswith(".sql"))
    return sorted(
        (Migration(f.name.removesuffix(".sql"), f.read_text("utf-8")) for f in found), key=lambda m: m.version
    )


async def migrate(dsn: str, told: Callable[[str], None] = lambda _: None) -> list[str]:
    """Bring the database up to this release, as its owner; the versions that were applied now, and what was made good.

    `told` hears of each right that only somebody else can give.
    Safe to run twice and from two pods at once. Raises Refusal: INVALID when an applied file has
    changed since or tables would be made in another schema than SCHEMA, UNAVAILABLE when Postgres refuses.
    """
    try:
        connection = await _connected(dsn)
        try:
            await _in_schema(connection)
            applied = [m.version for m in migrations() if await _apply(connection, m)]
            async with _locked(connection):
                good = await make_good(connection)
            for sentence in await lacking(connection):
                told(sentence)
            return applied + good
        finally:
            await connection.close(timeout=5)
    except VENDOR_ERRORS as error:
        raise refusal_of(error) from error


async def pending(dsn: str) -> list[str]:
    """The versions that `migrate` would apply. Raises Refusal(UNAVAILABLE) when Postgres can't be reached."""
    try:
        connection = await _connected(dsn)
        try:
            exists = await connection.fetchval("SELECT to_regclass('public.schema_migrations') IS NOT NULL")
            rows = await connection.fetch("SELECT version FROM public.schema_migrations") if exists else []
        finally:
            await connection.close(timeout=5)
    except VENDOR_ERRORS as error:
        raise refusal_of(error) from error
    applied = {row[0] for row in rows}
    return [m.version for m in migrations() if m.version not in applied]


async def _connected(dsn: str) -> Connection:
    """To the primary, and without prepared statements: behind a pooler the next one may go to another connection."""
    primary = asyncpg.connect_utils.SessionAttribute.primary
    return await Hosts(dsn, CONNECTING, statement_cache_size=0, target_session_attrs=primary).connect()


async def _in_schema(connection: Connection) -> None:
    """Raises Refusal(INVALID) where tables without a schema's name are made in another one than SCHEMA."""
    found = await connection.fetchval("SELECT current_schema()")
    if found != SCHEMA:
        text = f"this login's search_path leads to the schema {found}, and Poplar's tables must be in {SCHEMA}"
        login = await connection.fetchval("SELECT quote_ident(current_user)")
        raise Refusal(Reason.INVALID, f"{text}: ALTER ROLE {login} SET search_path = {SCHEMA}")


async def _apply(connection: Connection, migration: Migration) -> bool:
    async with _locked(connection):
        await connection.execute(_TABLE)
        before = await connection.fetchval(
            "SELECT checksum FROM schema_migrations WHERE version = $1", migration.version
        )
        if before is None:
            await connection.execute(migration.sql)
            await connection.execute(
                "INSERT INTO schema_migrations (version, checksum) VALUES ($1, $2)",
                migration.version,
                migration.checksum,
            )
        elif before != migration.checksum:
            raise Refusal(Reason.INVALID, f"migration {migration.version} was changed after it was applied")
    return before is None


@asynccontextmanager
async def _locked(connection: Connection) -> AsyncIterator[None]:
    """A transaction that no other pod's migration is beside."""
    async with connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock($1)", LOCK)
        await connection.execute(f"SET LOCAL lock_timeout = '{LOCK_WAIT}'")
        yield
