"""The HTTP API's tokens, for staff's commands.

Owns which store and login stand behind them. Refuses to load the API itself, whose framework is large.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from service.app.clock import SystemClock
from service.app.databases import open_database
from service.mail.tokens import TokenOffice
from service.settings import Settings
from service.stores.postgres.tokens import PostgresTokens

T = TypeVar("T")


def with_tokens(settings: Settings, use: Callable[[TokenOffice], Awaitable[T]]) -> T:
    """What `use` returns of the tokens, for staff's commands. Raises Refusal."""

    async def used() -> T:
        async with open_database(settings.database, "api") as database:
            return await use(TokenOffice(PostgresTokens(database), SystemClock()))

    return asyncio.run(used())
