"""What issuers publish, kept for a while: each address asked by one request at a time, and not too often.

Owns how long a document is taken for new, how long it does when its issuer can't be reached, and the pause between two
requests, whoever asks for what: invented key ids cause no flood of requests, and neither does an issuer that is away.
Refuses to know what a document says. RFC 7517 §5 (sets of keys change).
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from service.mail.ports import Clock
from service.model.refusal import Refusal

T = TypeVar("T")
PAUSE = 5.0
"""Seconds in which an address is asked once, whether it answered or not."""
STALE = 86_400.0
"""Seconds for which a document does when a newer one can't be had."""
MOST = 4096


@dataclass(frozen=True, slots=True)
class _Page(Generic[T]):
    content: T
    since: float


class Documents(Generic[T]):
    """Documents by address; `load` fetches one and reads it, and `fresh` is how many seconds one counts as new."""

    def __init__(self, load: Callable[[str], Awaitable[T]], clock: Clock, fresh: float) -> None:
        self._load = load
        self._clock = clock
        self._fresh = fresh
        self._pages: OrderedDict[str, _Page[T]] = OrderedDict()
        self._failures: OrderedDict[str, tuple[float, Refusal]] = OrderedDict()
        self._under_way: dict[str, asyncio.Task[T]] = {}

    async def get(self, url: str) -> T:
        """The document; an old one rather than none while its issuer is away. Raises Refusal(UNAVAILABLE)."""
        page = self._pages.get(url)
        if page is not None and self._age(page) < self._fresh:
            return page.content
        try:
            return await self._fetched(url)
        except Refusal:
            if page is None or self._age(page) > STALE:
                raise
            return page.content

    async def newest(self, url: str) -> T:
        """The document as it is now, or was a moment ago. Raises Refusal(UNAVAILABLE)."""
        page = self._pages.get(url)
        return page.content if page is not None and self._age(page) < PAUSE else await self._fetched(url)

    def _age(self, page: _Page[T]) -> float:
        return self._clock.monotonic() - page.since

    async def _fetched(self, url: str) -> T:
        until, refusal = self._failures.get(url, (0.0, None))
        if refusal is not None and self._clock.monotonic() < until:
            raise Refusal(refusal.reason, refusal.cause)
        task = self._under_way.get(url)
        if task is None:
            task = self._under_way[url] = asyncio.create_task(self._fetch(url))
            task.add_done_callback(lambda done: self._done(url, done))
        # Whoever began it may leave; the others wait on.
        return await asyncio.shield(task)

    async def _fetch(self, url: str) -> T:
        try:
            content = await self._load(url)
        except Refusal as refusal:
            _keep(self._failures, url, (self._clock.monotonic() + PAUSE, refusal))
            raise
        self._failures.pop(url, None)
        _keep(self._pages, url, _Page(content, self._clock.monotonic()))
        return content

    def _done(self, url: str, task: asyncio.Task[T]) -> None:
        self._under_way.pop(url, None)
        if not task.cancelled():
            task.exception()  # It was raised to those who waited, if anybody still did.


V = TypeVar("V")


def _keep(shelf: OrderedDict[str, V], url: str, value: V) -> None:
    shelf.pop(url, None)
    shelf[url] = value
    if len(shelf) > MOST:
        shelf.popitem(last=False)
