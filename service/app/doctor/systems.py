"""Postgres, Redis and the object store, as each role of Poplar reaches them.

Owns the advice. Refuses to know SQL and commands: the stores ask their systems themselves.
"""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from types import MappingProxyType
from urllib.parse import unquote, urlsplit

from service.app.blobs import make_blobs
from service.app.databases import open_database
from service.app.doctor.findings import Finding, doubtful, good, wrong
from service.app.doctor.parts import parts_of
from service.app.leasing import open_locks
from service.app.telling import why
from service.mail.ports import BlobStore
from service.model.refusal import Reason, Refusal
from service.settings import Settings, SettingsError
from service.settings.explaining import masked_url
from service.settings.systems import Role
from service.stores.objects import probe_key
from service.stores.postgres.checkup import Checkup, check_up
from service.stores.postgres.migrate import pending
from service.stores.redis import RedisMaildropLocks
from service.telemetry.cleaning import scrubbed

GRANTING: Mapping[str, str] = MappingProxyType(
    {
        "read_only": "It is a replica. Name the primary in redis.url, or the Sentinels, which know where it is.",
        "full": "Give it more memory (maxmemory), and leave maxmemory-policy at noeviction.",
    }
)
"""What helps where a lease is refused, by the kind of refusal."""
MIGRATE_FOR_RIGHTS = "Run `poplar migrate` as the tables' owner: it gives the groups, and the owner, what they lack."
CLOCKS_APART = 10.0
"""Seconds by which this machine's clock and Postgres' may differ before someone should look."""


async def check_postgres(settings: Settings) -> AsyncIterator[Finding]:
    """Reachable as a primary, migrated, with the rights that each role needs."""
    parts = parts_of(settings)
    for findings in await asyncio.gather(*(_as_role(settings, role) for role in sorted(parts - {"owner"}))):
        for finding in findings:
            yield finding
    if "owner" in parts:
        yield await _migrated(settings)


async def _as_role(settings: Settings, role: Role) -> list[Finding]:
    try:
        async with open_database(settings.database, role) as database:
            found = await check_up(database, role)
    except Refusal as refusal:
        advice = f"Check that Postgres runs, and the address and login in database.{_key(settings, role)}."
        return [wrong(f"postgres as {role}", f"can't be used ({scrubbed(refusal.cause)})", advice)]
    return [_rights(role, found), *([clocks(found, time.time())] if role == "front" else []), *durability(role, found)]


def _key(settings: Settings, role: Role) -> str:
    return f"{role}_url" if getattr(settings.database, f"{role}_url") else "url"


def _rights(role: str, found: Checkup) -> Finding:
    subject = f"postgres as {role}"
    who = f"Postgres {found.version} answers {found.login}"
    if absent := _tables_absent(subject, who, found):
        return absent
    if found.missing:
        advice = MIGRATE_FOR_RIGHTS if found.member else f"GRANT poplar_{role} TO {found.login};"
        return wrong(subject, f"{who}, but it lacks: {', '.join(found.missing)}", advice)
    if role == "api" and not found.delegates:
        advice = f"{MIGRATE_FOR_RIGHTS} It says what somebody else has to grant."
        return wrong(subject, f"{who}, but can't act as poplar_delegate: every tenant's own token is refused", advice)
    if found.shut_out:
        hidden = f"row-level security hides the tables' rows from {' and '.join(found.shut_out)}"
        advice = MIGRATE_FOR_RIGHTS
        return wrong(subject, f"{who}, but {hidden}", advice)
    if found.undue:
        advice = f"Give this part a login of its own that is a member of poplar_{role} alone: database.{role}_url."
        return doubtful(subject, f"{who}, which may do more than it needs: {', '.join(found.undue)}", advice)
    return good(subject, f"{who}, with the rights it needs")


def _tables_absent(subject: str, who: str, found: Checkup) -> Finding | None:
    """Where Poplar's tables aren't, or can't be found by all that looks for them."""
    if found.astray:
        advice = "Have the search_path of the owner and of this login be public: deploy/by-hand.md, The database."
        return wrong(subject, f"{who}, but finds tables in the schema {found.astray}: no QUIT removes there", advice)
    if not found.has_schema:
        return wrong(subject, f"{who}, but Poplar's tables aren't there", "Run `poplar migrate`, then look again.")
    return None


def durability(role: str, found: Checkup) -> list[Finding]:
    """Whether what this login writes survives a crash: mail that was taken must (G1)."""
    if role != "lmtp" or not found.careless:
        return []
    advice = f"Set {' and '.join(found.careless)} to on: mail that was answered 250 can be lost in a crash."
    return [doubtful("durability", f"Postgres has {', '.join(found.careless)} off", advice)]


def clocks(found: Checkup, now: float) -> Finding:
    """How far Postgres' clock is from `now`, in Unix seconds."""
    apart = abs(now - found.clock)
    if apart > CLOCKS_APART:
        advice = "Set both clocks by NTP. Nothing is lost meanwhile, but times in logs and retention are off."
        return doubtful("clock", f"this machine and Postgres differ by {apart:.0f} s", advice)
    return good("clock", "this machine and Postgres agree")


async def _migrated(settings: Settings) -> Finding:
    try:
        waiting = await pending(settings.database.url_for("owner"))
    except Refusal as refusal:
        advice = "Check database.owner_url: it needs the login that owns the schema."
        return doubtful("migrations", f"can't be looked at ({scrubbed(refusal.cause)})", advice)
    if waiting:
        return wrong("migrations", f"not applied: {', '.join(waiting)}", "Run `poplar migrate`.")
    return good("migrations", "all applied")


async def check_redis(settings: Settings) -> AsyncIterator[Finding]:
    """Reachable, granting leases, and never dropping one for want of memory; deliveries and the sweep don't need it."""
    if not parts_of(settings) & {"front", "api"}:
        return
    try:
        async with open_locks(settings) as locks:
            await locks.ping()
            facts = await locks.facts()
            refusal = await _ungranted(locks)
    except (Refusal, SettingsError, TimeoutError) as error:
        where = masked_url(settings.redis.url.get_secret_value())
        advice = "Check that it runs, and redis.url. Logins go on; of two sessions only the newer may remove mail."
        yield wrong("redis", f"{where} can't be used ({why(error)})", advice)
        return
    who = f"{facts.mode} {facts.version} answers"
    yield (
        wrong("redis", f"{who}, but grants no lease ({why(refusal)})", _aid(refusal)) if refusal else good("redis", who)
    )
    for warning in facts.warnings:
        yield doubtful("redis", warning.rstrip("."), "CONFIG SET maxmemory-policy noeviction")


async def _ungranted(locks: RedisMaildropLocks) -> Refusal | None:
    """Why a lease is refused, on any of the servers; answering is no proof that it isn't."""
    try:
        await locks.try_out()
    except Refusal as refusal:
        return refusal
    return None


def _aid(refusal: Refusal) -> str:
    """What helps; what only Redis' own words say is mostly a right of its user's, or its disk."""
    rights = "Give its user the rights that deploy/decisions/least-privilege.md lists, and see to what it says itself."
    return GRANTING.get(refusal.cause.removeprefix("redis: "), rights)


async def check_objects(settings: Settings) -> AsyncIterator[Finding]:
    """Writes, reads and removes a probe, and has the store say that a blob is missing."""
    url = settings.object_store.url
    if not_there_yet(url):
        advice = "The first process that needs it makes it. If mail was stored there before, it isn't mounted: do that."
        yield doubtful("object store", f"{url} isn't there yet", advice)
        return
    try:
        blobs = make_blobs(settings.object_store)
        await blobs.ping()
    except (Refusal, SettingsError, OSError) as error:
        told = _without_keys(error, settings)
        advice = "Check object_store.url, endpoint, region, access_key and secret_key, and that the bucket exists."
        if url.startswith("file:"):
            advice = "It must be a directory in which Poplar's user may write, on a disk that isn't full."
        yield wrong("object store", f"{url} can't be written, read and cleared ({told})", advice)
        return
    if url.startswith("memory:"):
        yield doubtful("object store", "memory:// forgets all mail at the end of the process", "Use it in tests only.")
        return
    if "front" in parts_of(settings) and (unclear := await _unclear(blobs)):
        yield _unlisted(settings, unclear)
        return
    yield good("object store", f"{url} can be written, read and cleared")


def _without_keys(error: BaseException, settings: Settings) -> str:
    keys = (settings.object_store.access_key, settings.object_store.secret_key)
    return why(error, *(key.get_secret_value() for key in keys if key))


async def _unclear(blobs: BlobStore) -> Refusal | None:
    """What the store says of a blob that isn't there, unless it says so."""
    try:
        await blobs.read(probe_key(), 0, 1)
    except Refusal as refusal:
        return None if refusal.reason is Reason.BROKEN else refusal
    return Refusal(Reason.INVALID, "it has one")


def _unlisted(settings: Settings, unclear: Refusal) -> Finding:
    """S3 tells who may not list a bucket that reading a missing object is denied."""
    store = settings.object_store
    text = f"{store.url} doesn't say that a missing blob is missing ({_without_keys(unclear, settings)})"
    right = "Give these keys the right to list the bucket, on S3 s3:ListBucket:"
    if store.further_urls:
        return wrong("object store", text, f"{right} older mail is looked for in one bucket after the other.")
    return doubtful("object store", text, f"{right} a lost message is taken for an outage, and nobody looks for it.")


def not_there_yet(url: str) -> bool:
    """Whether it is a directory that opening the store would make."""
    parts = urlsplit(url)
    root = Path(unquote(parts.path))
    if parts.scheme != "file" or root.exists():
        return False
    above = next(each for each in root.parents if each.exists())
    return above.is_dir() and os.access(above, os.W_OK | os.X_OK)
