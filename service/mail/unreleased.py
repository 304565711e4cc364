"""Leases of sessions that are over, which could not be given back when they ended.

Owns when that is tried again: one of them soon and often, as long as the store is away, and all once that one was
taken; all with each renewal besides, but not for ever; and once more when the process ends. RFC 1939 §6: after UPDATE
"the server then releases any exclusive-access lock on the maildrop".
"""

import asyncio
from contextlib import suppress

from service.mail.ports import Lease, MaildropLocks
from service.model.refusal import Refusal

TRIES = 10
"""Renewals with which a release is tried again; by then the lease has long run out."""
PAUSE = 0.25
"""Seconds between two tries of one: its user may be back already, at a process that reaches the store."""
LAST = 2.0
"""Seconds for which an ending process tries: nobody will after it, and its user would wait for a whole lease."""


class Unreleased:
    """Those of one process. Users are not to wait for a session that ended while the store was away (G6)."""

    def __init__(self) -> None:
        self._left: dict[str, tuple[Lease, int]] = {}
        self._some = asyncio.Event()

    def __len__(self) -> int:
        """How many there are."""
        return len(self._left)

    def add(self, lease: Lease) -> None:
        """Its release was refused."""
        self._leave(lease, TRIES)

    async def keep(self, locks: MaildropLocks) -> None:
        """Until cancelled: give all back soon after the store takes one again. An outage costs a try each PAUSE."""
        while True:
            await self._some.wait()
            await asyncio.sleep(PAUSE)
            await self._probe(locks)
            if not self._left:
                self._some.clear()

    async def try_again(self, locks: MaildropLocks) -> None:
        """Release what can be; what can't waits for the next call, but not for ever."""
        await self._release_all(locks, cost=1)

    async def finish(self, locks: MaildropLocks) -> None:
        """Try for LAST seconds, while there are any."""
        with suppress(TimeoutError):
            async with asyncio.timeout(LAST):
                while self._left:
                    await self._probe(locks)
                    if self._left:
                        await asyncio.sleep(PAUSE)

    async def _probe(self, locks: MaildropLocks) -> None:
        for token in list(self._left)[:1]:
            lease, tries = self._left.pop(token)
            if await self._release(locks, lease, tries):
                await self._release_all(locks, cost=0)

    async def _release_all(self, locks: MaildropLocks, cost: int) -> None:
        left, self._left = self._left, {}
        await asyncio.gather(*(self._release(locks, lease, tries - cost) for lease, tries in left.values()))

    async def _release(self, locks: MaildropLocks, lease: Lease, tries: int) -> bool:
        try:
            await locks.release(lease)
        except Refusal:
            if tries:
                self._leave(lease, tries)
            return False
        return True

    def _leave(self, lease: Lease, tries: int) -> None:
        self._left[lease.token] = (lease, tries)
        self._some.set()
