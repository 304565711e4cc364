"""What staff ask of running sessions: who is there, and end one.

Owns which stores that takes. Refuses to know what ending one means (`mail/evicting.py`).
"""

from collections.abc import Sequence
from datetime import timedelta

from service.app.leasing import open_locks
from service.app.provisioning import patient_database
from service.mail import evicting
from service.mail.ports import Holder
from service.mail.provisioning import Office
from service.settings import Settings
from service.stores.postgres.units import PostgresUnits


async def live_sessions(settings: Settings) -> Sequence[Holder]:
    """Who holds which maildrop, in all processes. Raises Refusal(UNAVAILABLE)."""
    async with open_locks(settings) as locks:
        return await locks.holders()


async def evict(settings: Settings, actor: str, address: str) -> None:
    """End the session that holds this maildrop. Raises Refusal: NOT_FOUND also when nobody does; UNAVAILABLE."""
    retention = timedelta(days=settings.sweep.removed_retention_days)
    async with (
        patient_database(settings.database) as database,
        open_locks(settings) as locks,
        PostgresUnits(database).open(None) as unit,
    ):
        await evicting.evict(Office(unit.tenancy, actor, retention), locks, address)
