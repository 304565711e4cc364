"""Makes what is kept in Redis out of the settings: leases, and recent logins.

Owns which setting goes where, and that each is closed. Refuses to know what they are used for. Nothing here connects:
Redis may be down when a process starts, and come later.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

from service.settings import Settings, SettingsError
from service.settings.errors import Problem
from service.stores.redis import Keeping, Limits, RedisMaildropLocks, RedisRecentLogins
from service.telemetry import watching


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
