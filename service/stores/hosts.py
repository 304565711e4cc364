"""The way to a Postgres of which a URL names several hosts: the next is asked where one fails, or beside it in time.

asyncpg asks one after the other within one time limit, which a host that vanished without a word spends alone. Nor is
one that is slow given up for others, which may be standbys. Owns which host comes first: the one that answered last, or
another than last time where none did. Refuses to know what connections are for.
"""

import asyncio
import re
from collections.abc import Sequence
from typing import Any, TypeAlias

import asyncpg

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
Try: TypeAlias = "asyncio.Task[Connection]"
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
        urls = self._urls
        tries: dict[Try, str] = {}
        try:
            first = await self._first(urls, tries)
        except BaseException:
            # Who waits may give up just before the time is over.
            if self._urls is urls and len(tries) == len(urls):
                self._urls = [*urls[1:], urls[0]]
            raise
        else:
            url = tries.pop(first)
            self._urls = [url, *(each for each in urls if each != url)]
            return first.result()
        finally:
            # Not waited for: whoever is cancelled meanwhile would lose the connection he has.
            for late in tries:
                late.cancel()
                late.add_done_callback(_end)

    async def _first(self, urls: Sequence[str], tries: dict[Try, str]) -> Try:
        """The first that gave a connection of `tries`, to which all are added; each has at least half of the time."""
        clock = asyncio.get_running_loop().time
        end, pause = clock() + self._seconds, self._seconds / (2 * len(urls))
        failed: list[BaseException] = []
        waiting: set[Try] = set()
        while waiting or len(tries) < len(urls):
            if left := urls[len(tries) :]:
                begun = asyncio.create_task(asyncpg.connect(left[0], timeout=end - clock(), **self._options))
                tries[begun] = left[0]
                waiting.add(begun)
            patience = pause if len(left) > 1 else None
            done, waiting = await asyncio.wait(waiting, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
            for each in done:
                error = each.exception()
                if error is None:
                    return each
                if not isinstance(error, _NEXT):
                    raise error
                failed.append(error)
        raise max(failed, key=lambda error: not isinstance(error, asyncpg.TargetServerAttributeNotMatched))


def _end(late: Try) -> None:
    """End the connection of a try that is needed no more, if it came to one."""
    if not late.cancelled() and late.exception() is None:
        late.result().terminate()


def one_by_one(url: str) -> list[str]:
    """The URL with each of its hosts alone; hosts in its parameters stay together."""
    parts = _PARTS.fullmatch(url)
    return [parts["login"] + host + parts["rest"] for host in parts["hosts"].split(",")] if parts else [url]
