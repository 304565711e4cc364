"""Logins by tokens: the use case over the issuers' rows and HTTP, and whether there is anything to offer.

Owns which setting bounds what, and that the libraries of JWTs and HTTP are loaded once any tenant trusts an issuer:
they are large, and most front ends never need them. Refuses to know any issuer.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING

from service.app.background import Background
from service.app.clock import SystemClock
from service.app.observed import Outages
from service.mail.bearer import Bearer, Issuers, TokenChecks
from service.mail.claims import Claims
from service.mail.remembered_tokens import RememberedTokens
from service.model.issuer import Issuer
from service.model.refusal import Refusal
from service.net.pop3_offer import Offer
from service.settings import Settings
from service.settings.errors import Problem, SettingsError
from service.settings.oauth import OAuthSettings
from service.stores.postgres.database import Database
from service.stores.postgres.tenancy.issuers import PostgresIssuers
from service.telemetry import watching

if TYPE_CHECKING:
    from service.stores.oidc import Fetcher

BINDING: Mapping[str, frozenset[str]] = MappingProxyType(
    {"never": frozenset(), "tls1.2": frozenset({"TLSv1.2"}), "always": frozenset({"TLSv1.2", "TLSv1.3"})}
)
"""The versions of TLS in which SCRAM is offered with channel binding, by the setting."""
LOOK_EVERY = 15.0
"""Seconds after which the first issuer of all shows in CAPA."""


@asynccontextmanager
async def open_bearer(
    settings: OAuthSettings, database: Database, tasks: Background
) -> AsyncIterator[tuple[Bearer, Callable[[], bool]]]:
    """The use case, and whether tokens are offered. Raises SettingsError for a file that can't be read."""
    check_authorities(settings)
    clock, issuers = SystemClock(), PostgresIssuers(database)
    checks = ChecksOnDemand(settings)
    try:
        remembered = RememberedTokens(clock, settings.remember_seconds, settings.remember_entries)
        trusting = Trusting(issuers, checks.load)
        tasks.every("issuers", LOOK_EVERY, trusting.look)
        yield Bearer(issuers, checks, remembered, timedelta(seconds=settings.leeway)), lambda: trusting.anybody
    finally:
        await checks.close()


def pop3_offer(settings: Settings, tokens: Callable[[], bool], *, scram: bool) -> Offer:
    """Which mechanisms are offered besides passwords; `scram` tells whether there are keys for it."""
    oauth = settings.oauth
    return Offer(
        scram=scram,
        binding=BINDING[settings.hashing.scram_plus],
        tokens=tokens,
        hosts=frozenset(host.lower() for host in oauth.hosts),
        ports=frozenset(oauth.ports),
        scope=oauth.scope,
        configuration=oauth.openid_configuration,
    )


class Trusting:
    """Whether any tenant trusts an issuer, as last read; while the database is away, what was read before."""

    def __init__(self, issuers: Issuers, prepare: Callable[[], Awaitable[object]]) -> None:
        self._issuers = issuers
        self._prepare = prepare
        self._outages = Outages("issuers")
        self.anybody = False

    async def look(self) -> None:
        """Read it again; tokens are offered once what checks them is there."""
        try:
            anybody = await self._issuers.any()
        except Refusal as refusal:
            self._outages.report(refusal)
        else:
            self._outages.report(None)
            if anybody:
                await self._prepare()
            self.anybody = anybody


class ChecksOnDemand:
    """Implements `mail.bearer.TokenChecks` over HTTP, from the first time that anybody asks."""

    def __init__(self, settings: OAuthSettings) -> None:
        self._settings = settings
        self._loaded: tuple[Fetcher, TokenChecks] | None = None

    async def load(self) -> None:
        """Be ready before anybody asks. In a thread: the event loop has others to serve meanwhile."""
        if self._loaded is None:
            loaded = await asyncio.to_thread(_loaded, self._settings)
            self._loaded = self._loaded or loaded

    def read(self, token: str) -> Claims | None:
        """As the port says."""
        return self._checks().read(token)

    async def claims(self, issuer: Issuer, token: str) -> Claims:
        """As the port says."""
        return await self._checks().claims(issuer, token)

    async def close(self) -> None:
        """End every connection."""
        if self._loaded is not None:
            await self._loaded[0].close()

    def _checks(self) -> TokenChecks:
        if self._loaded is None:
            self._loaded = _loaded(self._settings)
        return self._loaded[1]


def _loaded(settings: OAuthSettings) -> "tuple[Fetcher, TokenChecks]":
    from service.stores.oidc import Fetcher, FetchOptions, OidcTokenChecks

    options = FetchOptions(settings.deadline, str(settings.ca_file or ""), settings.plain_loopback)
    fetcher = Fetcher(options, watching)
    return fetcher, OidcTokenChecks(fetcher, SystemClock(), settings.keys_seconds)


def check_authorities(settings: OAuthSettings) -> None:
    """Say at the start, rather than at the first token, that the file can't be read. Raises SettingsError."""
    try:
        if settings.ca_file is not None:
            ssl.create_default_context(cafile=settings.ca_file)
    except OSError as error:
        raise SettingsError([Problem("oauth.ca_file", f"can't be read: {error.strerror or error}")]) from None
