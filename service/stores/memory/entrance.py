"""The in-memory twin of the leases and the scores of failed logins, asked together.

Owns nothing but the asking, of one after the other. Refuses to know what either is.
"""

from service.mail.attempts import Attempts
from service.mail.ports import Lease, MaildropLocks
from service.model.attempts import Subject
from service.model.refusal import Refusal


class MemoryEntrance:
    """Implements `mail.again.Entrance` over both."""

    def __init__(self, locks: MaildropLocks, attempts: Attempts) -> None:
        self._locks = locks
        self._attempts = attempts

    async def ask(self, lease: Lease, pair: Subject | None) -> float | None:
        """As the port says."""
        try:
            free = await self._locks.acquire(lease)
            standings = await self._attempts.standings([pair]) if pair is not None else ()
        except Refusal:
            return None
        blamed = any(standing.score for standing in standings)
        return sum(standing.known for standing in standings) if free and not blamed else None
