"""Makes the stores out of the settings.

Owns which setting goes to which vendor, and that each store is opened and closed. Refuses to know what they are
used for. Nothing here connects: every system may be down when a process starts, and come later.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

from service.app.clock import SystemClock
from service.mail.enrolments import Enrolments
from service.mail.fair import FairHashes
from service.mail.ports import Directory
from service.mail.renewals import Renewals
from service.mail.scram import ScramChallenges
from service.mail.turns import Turns
from service.mail.uses import Uses
from service.mail.verdicts import Verdicts
from service.mail.verification import Verification
from service.mail.whose import WHOSE
from service.settings import Settings, SettingsError
from service.settings.behaviour import HashingSettings
from service.settings.errors import Problem
from service.settings.systems import DatabaseSettings, ObjectStoreSettings, Role
from service.stores.objects import ObjectBlobStore, ObjectOptions, SpreadBlobStore, open_blobs
from service.stores.passwords import Argon2Hashes
from service.stores.postgres.database import Database, DatabaseOptions
from service.stores.postgres.fair import FairDatabase
from service.stores.postgres.observed import ObservedDatabase
from service.stores.postgres.uses import PostgresLastUses
from service.stores.postgres.verifiers import PostgresVerifiers
from service.stores.redis import Keeping, Limits, RedisMaildropLocks, RedisRecentLogins
from service.telemetry import metrics, watching


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
async def open_locks(settings: Settings) -> AsyncIterator[RedisMaildropLocks]:
    """The leases. Raises SettingsError for a URL that means nothing."""
    try:
        locks = RedisMaildropLocks(
            settings.redis.url.get_secret_value(),
            lease_seconds=settings.redis.lease_seconds,
            limits=Limits(deadline=settings.redis.deadline),
            observer=watching,
        )
    except ValueError as error:
        raise SettingsError([Problem("redis.url", str(error))]) from None
    try:
        yield locks
    finally:
        await locks.aclose()


def make_blobs(settings: ObjectStoreSettings) -> ObjectBlobStore | SpreadBlobStore:
    """The blobs. Raises SettingsError for settings that mean nothing, OSError for a directory that can't be made."""
    options = object_options(settings)
    try:
        stores = {url: open_blobs(url, options, watching) for url in (settings.url, *settings.more_urls)}
        return SpreadBlobStore(stores) if settings.more_urls else stores[settings.url]
    except ValueError as error:
        raise SettingsError([Problem("object_store", str(error))]) from None


def object_options(settings: ObjectStoreSettings) -> ObjectOptions:
    """The settings in the store's words."""
    return ObjectOptions(
        endpoint=settings.endpoint or "",
        region=settings.region or "",
        access_key=settings.access_key.get_secret_value() if settings.access_key else "",
        secret_key=settings.secret_key.get_secret_value() if settings.secret_key else "",
        virtual_hosted=not settings.path_style,
        allow_http=settings.allow_http,
        checksum=settings.checksum,
        connect_timeout=settings.connect_timeout,
        deadline=settings.deadline,
        retries=settings.retries,
    )


@asynccontextmanager
async def open_hashes(settings: HashingSettings) -> AsyncIterator[Argon2Hashes]:
    """The password verifiers, on threads of their own."""
    hashes = Argon2Hashes(threads=settings.threads or None, queue=settings.queue, observer=watching)
    try:
        yield hashes
    finally:
        hashes.close()


@asynccontextmanager
async def open_scram(settings: Settings, database: Database, directory: Directory) -> AsyncIterator[Enrolments | None]:
    """What SCRAM needs, where it is switched on and can succeed; Poplar's own keys are kept in `database`."""
    secret = settings.hashing.scram_secret
    if not (settings.hashing.scram and settings.directory.may_scram) or secret is None:
        yield None
        return
    challenges = ScramChallenges(directory, secret.get_secret_value().encode())
    enrolments = Enrolments(challenges, PostgresVerifiers(database), metrics.scram_enrolled)
    try:
        yield enrolments
    finally:
        await enrolments.close()


@asynccontextmanager
async def open_verification(
    settings: HashingSettings, database: Database, turns: Turns | None = None
) -> AsyncIterator[Verification]:
    """The verification of passwords, with what it remembers; verifiers are renewed in `database`."""
    clock = SystemClock()
    async with open_hashes(settings) as own:
        hashes = FairHashes(own, turns) if turns else own
        verdicts = Verdicts(clock, settings.remember_seconds, settings.remember_entries, metrics.verdict_asked)
        renewals = Renewals(hashes, PostgresVerifiers(database), metrics.verifier_renewed)
        try:
            yield Verification(hashes, verdicts, renewals)
        finally:
            await renewals.close()


@asynccontextmanager
async def open_uses(database: Database) -> AsyncIterator[Uses]:
    """What keeps when credentials were last used, in `database`."""
    uses = Uses(PostgresLastUses(database), SystemClock())
    try:
        yield uses
    finally:
        await uses.close()


@asynccontextmanager
async def open_recent(settings: Settings) -> AsyncIterator[RedisRecentLogins]:
    """The register of recent logins and refusals. Raises SettingsError for a URL that means nothing."""
    keeping = Keeping(settings.events.recent, timedelta(days=settings.events.recent_days))
    limits = Limits(deadline=settings.redis.deadline)
    try:
        recent = RedisRecentLogins(settings.redis.url.get_secret_value(), keeping, limits, watching)
    except ValueError as error:
        raise SettingsError([Problem("redis.url", str(error))]) from None
    try:
        yield recent
    finally:
        await recent.aclose()
