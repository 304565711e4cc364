"""Leases of sessions that are over, which could not be given back when they ended.

Owns how often that is tried again. Refuses to know when (`leases.py`). RFC 1939 §6: after UPDATE "the server then
releases any exclusive-access lock on the maildrop".
"""

import asyncio

from service.mail.ports import Lease, MaildropLocks
from service.model.refusal import Refusal

TRIES = 10
"""Renewals with which a release is tried again; by then the lease has long run out."""


class Unreleased:
    """Those of one process. Users are not to wait for a session that ended while the store was away (G6)."""

    def __init__(self) -> None:
        self._left: dict[str, tuple[Lease, int]] = {}

    def __len__(self) -> int:
        """How many there are."""
        return len(self._left)

    def add(self, lease: Lease) -> None:
        """Its release was refused."""
        self._left[lease.token] = (lease, TRIES)

    async def try_again(self, locks: MaildropLocks) -> None:
        """Release what can be; what can't waits for the next call, but not for ever."""
        left, self._left = self._left, {}
        await asyncio.gather(*(self._release(locks, lease, tries - 1) for lease, tries in left.values()))

    async def _release(self, locks: MaildropLocks, lease: Lease, tries: int) -> None:
        try:
            await locks.release(lease)
        except Refusal:
            if tries:
                self._left[lease.token] = (lease, tries)
