"""What staff ask of running sessions: who is there, and end one.

Owns the way from an address to the lease. Refuses to touch the session itself: it notices that it lost its lease
and ends without removing anything (G5).
"""

from collections.abc import Sequence

from service.app.stores import open_database, open_locks
from service.mail.ports import Holder
from service.model.refusal import Reason, Refusal
from service.settings import Settings
from service.stores.postgres.directory import PostgresDirectory


async def live_sessions(settings: Settings) -> Sequence[Holder]:
    """Who holds which maildrop, in all processes. Raises Refusal(UNAVAILABLE)."""
    async with open_locks(settings) as locks:
        return await locks.holders()


async def evict(settings: Settings, address: str) -> bool:
    """Whether a session held this maildrop, and loses it now. Raises Refusal: NOT_FOUND, UNAVAILABLE."""
    async with open_database(settings.database, "front") as database, open_locks(settings) as locks:
        account = await PostgresDirectory(database).find(address)
        if account is None:
            raise Refusal(Reason.NOT_FOUND, f"there is no maildrop {address}")
        return await locks.evict(account.key)
