"""The HTTP API in this process, on a real Postgres, for a provider and for the admins of two tenants.

Owns what is there at the start. Leases are kept in memory, so that a test can hold one.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

import httpx
from fastapi import FastAPI

from service.admin.access import House
from service.admin.application import admin_app
from service.app.clock import SystemClock
from service.mail.blocks import Blocks
from service.mail.counting import Rules
from service.mail.passwords import Passwords
from service.mail.tokens import TokenOffice
from service.model.attempts import Kind, Limit
from service.model.saslprep import prepare
from service.model.token import Scope
from service.stores.memory.attempts import MemoryAttempts
from service.stores.memory.locks import MemoryMaildropLocks
from service.stores.memory.passwords import MemoryPasswordHashes
from service.stores.memory.recent import MemoryRecentLogins
from service.stores.postgres.database import Database
from service.stores.postgres.logins import create_login
from service.stores.postgres.tokens import PostgresTokens
from service.stores.postgres.units import PostgresUnits
from tests.mail.provider import SetClock

TENANTS = ("acme", "other")


@dataclass(frozen=True)
class Served:
    """The API, its stores, and the text of one token for each kind of caller."""

    app: FastAPI
    owner_dsn: str
    database: Database
    tokens: TokenOffice
    locks: MemoryMaildropLocks
    recent: MemoryRecentLogins
    attempts: MemoryAttempts
    texts: Mapping[str, str]

    def client(self, who: str | None = "full") -> httpx.AsyncClient:
        """A client of the API with this caller's token, or with none."""
        headers = {"Authorization": f"Bearer {self.texts[who]}"} if who else {}
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
        return httpx.AsyncClient(transport=transport, base_url="http://poplar/v1", headers=headers)


@asynccontextmanager
async def serving(dsn: str) -> AsyncIterator[Served]:
    """An empty service, with a login that has the API's rights alone."""
    await create_login(dsn, "clerk", "clerk", "poplar_api")
    scheme, _, rest = dsn.partition("://")
    database = Database(f"{scheme}://clerk:clerk@{rest.rpartition('@')[2]}")
    await database.open()
    try:
        tokens = TokenOffice(PostgresTokens(database), SystemClock())
        locks = MemoryMaildropLocks(SetClock())
        passwords = Passwords(MemoryPasswordHashes(), prepare, SetClock())
        recent = MemoryRecentLogins(SystemClock(), locks)
        blocks = Blocks(attempts := MemoryAttempts(SetClock()), Rules(dict.fromkeys(Kind, Limit(5, 10))), 900.0)
        house = House(
            tokens, PostgresUnits(database), locks, passwords, timedelta(days=7), recent, SystemClock(), blocks
        )
        texts: dict[str, str] = {}
        served = Served(admin_app(house), dsn, database, tokens, locks, recent, attempts, texts)
        for scope in (Scope.FULL, Scope.READ_ONLY, Scope.SUPPORT):
            texts[scope.value] = (await tokens.issue("tester", scope.value, scope)).text
        yield served
    finally:
        await database.close()


async def furnish(served: Served, tenants: tuple[str, ...] = TENANTS) -> None:
    """Give each tenant one of everything, and a token for its admin."""
    async with served.client() as full:
        for name in tenants:
            for path, form in furniture(name).items():
                response = await full.put(path, json=form)
                assert response.status_code == 201, response.text
    for name in tenants:
        issued = await served.tokens.issue("tester", f"{name}-admin", Scope.TENANT, name)
        assert isinstance(served.texts, dict)
        served.texts[name] = issued.text


def furniture(name: str) -> dict[str, object]:
    """What a tenant of this name is given, by path."""
    place = f"/tenants/{name}"
    return {
        place: {"policy": {"quota_messages": 100}},
        f"{place}/domains/{name}.example": {},
        f"{place}/maildrops/ada@{name}.example": {},
        f"{place}/aliases/a@{name}.example": {"address": f"ada@{name}.example"},
        f"{place}/maildrops/ada@{name}.example/credentials/main": {"password": "pencil"},
        f"{place}/issuers/main": {"url": f"https://id.example/{name}", "audiences": ["poplar"], "client_secret": "ink"},
    }
