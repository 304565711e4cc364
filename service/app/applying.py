"""`poplar apply`: declarations, made so.

Owns which stores and hashes stand behind it, with the login of provisioning. Refuses to know files.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from service.app.clock import SystemClock
from service.app.hashing import open_hashes
from service.app.provisioning import patient_database
from service.mail.declared.applying import Applier
from service.mail.passwords import Passwords
from service.model.saslprep import prepare
from service.settings import Settings
from service.stores.postgres.directory import PostgresDirectory
from service.stores.postgres.units import PostgresUnits

PATIENCE = 600.0
"""Seconds that one tenant may take: some 50,000 maildrops."""


@asynccontextmanager
async def applier(settings: Settings, actor: str) -> AsyncIterator[Applier]:
    """Whoever applies, audited as `actor`. Raises Refusal(UNAVAILABLE) when the database doesn't answer."""
    async with patient_database(settings.database, PATIENCE) as database, open_hashes(settings.hashing) as hashes:
        passwords = Passwords(hashes, prepare, SystemClock(), scram=settings.hashing.scram)
        yield Applier(PostgresUnits(database), PostgresDirectory(database), passwords, actor)
