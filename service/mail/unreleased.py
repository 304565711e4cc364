"""Leases of sessions that are over, which could not be given back when they ended.

Owns when that is tried again: one of them soon and often, as long as the store is away, and all once that one was
taken; all with each renewal besides, but not for ever; and once more when the process ends. RFC 1939 §6: after UPDATE
"the server then releases any exclusive-access lock on the maildrop".
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress

from service.mail.ports import Lease, MaildropLocks
from service.model.refusal import Refusal

TRIES = 10
"""Renewals with which a release is tried again; by then the lease has long run out."""
PAUSE = 0.25
"""Seconds between two tries of one: its user may be back already, at a process that reaches the store."""
LAST = 2.0
"""Seconds for which an ending process tries: nobody will after it, and its user would wait for a whole lease."""
MOST = 10_000
"""Kept at once, at some 700 octets: as many as may end when a process drains, or in 10 s of an outage."""
BATCH = 256
"""Releases asked for at once: behind more of them, logins and renewals would miss their deadlines."""


class Unreleased:
    """Those of one process. Users are not to wait for a session that ended while the store was away (G6).

    Each stays here until it was given back, so that a task that is cancelled while it tries leaves all to `finish`.
    """

    def __init__(self) -> None:
        self._left: dict[str, tuple[Lease, int]] = {}
        """By token, those first that weren't tried for longest, with the renewals at which they are still tried."""
        self._some = asyncio.Event()

    def __len__(self) -> int:
        """How many there are."""
        return len(self._left)

    def add(self, lease: Lease) -> None:
        """Its release was refused. Of more than MOST the first goes: its lease ran out, or will before the others'."""
        self._left[lease.token] = (lease, TRIES)
        if len(self._left) > MOST:
            del self._left[next(iter(self._left))]
        self._some.set()

    async def keep(self, locks: MaildropLocks) -> None:
        """Until cancelled: give all back soon after the store takes one again. An outage costs a try each PAUSE."""
        while True:
            await self._some.wait()
            await asyncio.sleep(PAUSE)
            await self._probe(locks)
            if not self._left:
                self._some.clear()

    async def try_again(self, locks: MaildropLocks) -> None:
        """Release a batch, as a renewal waits for it; those that are left wait for the next, but not for ever."""
        due = list(self._left)
        await self._release_some(locks, due[:BATCH])
        for token in due:
            self._age(token)

    async def finish(self, locks: MaildropLocks) -> None:
        """Try for LAST seconds, while there are any."""
        with suppress(TimeoutError):
            async with asyncio.timeout(LAST):
                while self._left:
                    await self._probe(locks)
                    if self._left:
                        await asyncio.sleep(PAUSE)

    async def _probe(self, locks: MaildropLocks) -> None:
        """Try one; if it is taken, all in batches, up to one of which none is."""
        due = list(self._left)
        size = 1
        while due and await self._release_some(locks, due[:size]):
            due, size = due[size:], BATCH

    async def _release_some(self, locks: MaildropLocks, tokens: Sequence[str]) -> bool:
        """Whether any of these was given back."""
        return any(await asyncio.gather(*(self._release(locks, token) for token in tokens)))

    async def _release(self, locks: MaildropLocks, token: str) -> bool:
        if token not in self._left:
            # Given back by another task meanwhile, or dropped.
            return True
        try:
            await locks.release(self._left[token][0])
        except Refusal:
            if token in self._left:
                # The next try is another's: a part of a store may be away alone.
                self._left[token] = self._left.pop(token)
            return False
        self._left.pop(token, None)
        return True

    def _age(self, token: str) -> None:
        if token in self._left:
            lease, tries = self._left[token]
            self._left[token] = (lease, tries - 1)
            if tries == 1:
                del self._left[token]
