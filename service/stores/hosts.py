"""The way to a Postgres of which a URL names several hosts: one after the other, each with its share of the time.

asyncpg has one time limit for all of them, and a host that vanished without a word spends it before the second is
asked. Owns which host comes first: the one that answered last. Refuses to know what connections are for.
"""

import asyncio
import re
from typing import Any, TypeAlias

import asyncpg

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
_PARTS = re.compile(r"(?P<login>[^:/]+://(?:[^@/?#]*@)?)(?P<hosts>[^/?#]+)(?P<rest>.*)", re.DOTALL)
_NEXT = (
    OSError,
    asyncpg.TargetServerAttributeNotMatched,
    asyncpg.CannotConnectNowError,
    asyncpg.PostgresConnectionError,
)
"""What one host says of itself alone; a wrong password is wrong at all of them."""


class Hosts:
    """Connects to the hosts of `url` within `seconds` in all; `options` are asyncpg's."""

    def __init__(self, url: str, seconds: float, **options: Any) -> None:
        self._urls = one_by_one(url)
        self._seconds = seconds
        self._options = options

    async def connect(self) -> Connection:
        """To the first host that will do. Raises what asyncpg does: of a host that is away rather than of a standby."""
        clock = asyncio.get_running_loop().time
        end, urls = clock() + self._seconds, self._urls
        failed: list[Exception] = []
        for number, url in enumerate(urls):
            try:
                share = (end - clock()) / (len(urls) - number)
                connection: Connection = await asyncpg.connect(url, timeout=share, **self._options)
            except _NEXT as error:
                failed.append(error)
            else:
                self._urls = [url, *(each for each in urls if each != url)]
                return connection
        raise max(failed, key=lambda error: not isinstance(error, asyncpg.TargetServerAttributeNotMatched))


def one_by_one(url: str) -> list[str]:
    """The URL with each of its hosts alone; hosts in its parameters stay together."""
    parts = _PARTS.fullmatch(url)
    return [parts["login"] + host + parts["rest"] for host in parts["hosts"].split(",")] if parts else [url]
