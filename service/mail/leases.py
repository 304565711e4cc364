"""The leases of this process: renewed together, and their loss told to the sessions that hold them.

Owns when a session has lost its maildrop. Refuses to judge: without the store of leases nothing is
lost, since the fence alone decides who may remove (G4, G5).
"""

import asyncio
from collections.abc import Callable

from service.mail.ports import Lease, MaildropLocks
from service.model.refusal import Refusal

OnLost = Callable[[], None]


class Leases:
    """Every lease a session of this process holds, by its token."""

    def __init__(self, locks: MaildropLocks) -> None:
        self._locks = locks
        self._held: dict[str, tuple[Lease, OnLost]] = {}

    def __len__(self) -> int:
        """How many are held."""
        return len(self._held)

    def hold(self, lease: Lease, on_lost: OnLost) -> None:
        """Renew `lease` from now on; `on_lost` is called at most once, when another session holds it."""
        self._held[lease.token] = (lease, on_lost)

    async def release(self, lease: Lease) -> None:
        """Stop renewing and free the maildrop; where the store can't be reached it expires by itself (G6)."""
        self._held.pop(lease.token, None)
        try:
            await self._locks.release(lease)
        except Refusal:
            return

    async def renew(self) -> None:
        """Extend all leases in one batch. Raises Refusal(UNAVAILABLE), with nothing lost."""
        held = [lease for lease, _ in self._held.values()]
        if not held:
            return
        for lease in await self._locks.renew(held):
            entry = self._held.pop(lease.token, None)
            if entry is not None:
                entry[1]()

    async def keep(self, every: float, report: Callable[[Refusal | None], None]) -> None:
        """Renew every `every` seconds until cancelled; `report` hears of each round's refusal, or None."""
        while True:
            await asyncio.sleep(every)
            try:
                await self.renew()
            except Refusal as refusal:
                report(refusal)
            else:
                report(None)
