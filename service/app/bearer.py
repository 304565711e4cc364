"""Logins by tokens: the use case over the issuers' rows and HTTP, and whether there is anything to offer.

Owns which setting bounds what. Refuses to know any issuer.
"""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from types import MappingProxyType

from service.app.background import Background
from service.app.clock import SystemClock
from service.app.observed import Outages
from service.mail.bearer import Bearer, Issuers
from service.mail.remembered_tokens import RememberedTokens
from service.model.refusal import Refusal
from service.net.pop3_offer import Offer
from service.settings import Settings
from service.settings.errors import Problem, SettingsError
from service.settings.oauth import OAuthSettings
from service.stores.oidc import Fetcher, FetchOptions, OidcTokenChecks
from service.stores.postgres.database import Database
from service.stores.postgres.tenancy.issuers import PostgresIssuers
from service.telemetry import watching

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
    clock, issuers = SystemClock(), PostgresIssuers(database)
    fetcher = _fetcher(settings)
    try:
        checks = OidcTokenChecks(fetcher, clock, settings.keys_seconds)
        remembered = RememberedTokens(clock, settings.remember_seconds, settings.remember_entries)
        trusting = Trusting(issuers)
        tasks.every("issuers", LOOK_EVERY, trusting.look)
        yield Bearer(issuers, checks, remembered, timedelta(seconds=settings.leeway)), lambda: trusting.anybody
    finally:
        await fetcher.close()


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

    def __init__(self, issuers: Issuers) -> None:
        self._issuers = issuers
        self._outages = Outages("issuers")
        self.anybody = False

    async def look(self) -> None:
        """Read it again."""
        try:
            self.anybody = await self._issuers.any()
        except Refusal as refusal:
            self._outages.report(refusal)
        else:
            self._outages.report(None)


def _fetcher(settings: OAuthSettings) -> Fetcher:
    options = FetchOptions(settings.deadline, str(settings.ca_file or ""), settings.plain_loopback)
    try:
        return Fetcher(options, watching)
    except OSError as error:
        raise SettingsError([Problem("oauth.ca_file", f"can't be read: {error.strerror or error}")]) from None
