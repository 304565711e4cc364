"""Makes the outside directories out of the settings, each behind a guard of its own.

Owns which vendor a URL means, and that each is closed. Nothing here connects: a directory may be away when a process
starts, and come later. Refuses to know who asks.
"""

import contextlib
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from service.app.fair import most_of
from service.mail.outside import Bounds, Directories, Guard, OutsideAccounts, Vouching
from service.mail.outside.directories import Known
from service.mail.outside.ports import OutsideDirectory
from service.mail.ports import Directory
from service.settings import Settings, SettingsError
from service.settings.directory import OutsideDirectorySettings
from service.settings.errors import Problem
from service.stores.postgres.database import Database
from service.stores.postgres.directory import PostgresDirectory
from service.stores.postgres.homes import PostgresHomes
from service.telemetry import directories as metrics

if TYPE_CHECKING:
    from service.stores.directories.mysql_query import MySqlQuery
    from service.stores.directories.postgres_query import PostgresQuery


@asynccontextmanager
async def open_accounts(
    settings: Settings, database: Database, own: Callable[[Database], Directory] = PostgresDirectory
) -> AsyncIterator[tuple[OutsideAccounts, Vouching]]:
    """The directory of all accounts, Poplar's own and outside ones, and what a login asks of the latter."""
    homes = PostgresHomes(database)
    async with open_directories(settings) as directories:
        yield OutsideAccounts(own(database), homes, directories), Vouching(directories, homes)


@asynccontextmanager
async def open_directories(settings: Settings) -> AsyncIterator[Directories]:
    """All of them. Raises SettingsError for an authority's file that can't be read."""
    async with AsyncExitStack() as stack:
        named = {
            each.name: Known(await stack.enter_async_context(_guarded(each, most_of(settings))), each.provide)
            for each in settings.directory.outside
        }
        yield Directories(MappingProxyType(named), settings.directory.default)


@asynccontextmanager
async def _guarded(settings: OutsideDirectorySettings, most: float) -> AsyncIterator[Guard]:
    bounds = Bounds(settings.connections, settings.queue, settings.deadline, settings.failures, settings.pause, most)
    async with open_outside(settings) as directory:
        yield Guard(settings.name, directory, bounds, partial(metrics.asked, settings.name))


@asynccontextmanager
async def open_outside(settings: OutsideDirectorySettings) -> AsyncIterator[OutsideDirectory]:
    """One of them, without a guard. Its vendor's driver is loaded only here. Raises SettingsError."""
    url = settings.url.get_secret_value()
    if settings.is_hook:
        from service.stores.directories.http_hook import HookOptions, HttpHook

        secret = settings.secret.get_secret_value().encode() if settings.secret else b""
        options = HookOptions(url, secret, settings.connections, settings.deadline, _tls(settings))
        hook = HttpHook(settings.name, options)
        try:
            yield hook
        finally:
            await hook.aclose()
        return
    with _query(settings, url) as query:
        yield query


def _query(settings: OutsideDirectorySettings, url: str) -> "contextlib.closing[PostgresQuery | MySqlQuery]":
    if urlsplit(url).scheme == "mysql":
        from service.stores.directories.mysql_query import MySqlQuery

        tls = None if settings.allow_clear else _tls(settings)
        return contextlib.closing(MySqlQuery(settings.name, url, settings.query, settings.parameters, tls))
    from service.stores.directories.postgres_query import PostgresQuery

    return contextlib.closing(PostgresQuery(settings.name, url, settings.query, settings.parameters, settings.deadline))


def _tls(settings: OutsideDirectorySettings) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=settings.ca_file)
    except OSError as error:
        key = f"directory.outside {settings.name}: ca_file"
        raise SettingsError([Problem(key, f"can't be read: {error.strerror or error}")]) from None
