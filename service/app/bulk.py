"""`poplar maildrop import-csv`: many maildrops at once.

Owns which stores and hashes stand behind it; passwords are hashed on as many threads as it may use cores. Refuses to
know how a list is written.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from service.app.clock import SystemClock
from service.app.cores import usable_cores
from service.app.provisioning import patient_database
from service.mail.batches import Manner
from service.mail.bulk import BATCH, BulkImport
from service.mail.passwords import Passwords
from service.model.saslprep import prepare
from service.settings import Settings
from service.stores.passwords import COSTS, Argon2Hashes
from service.stores.postgres.tenancy import postgres_tenancy


@asynccontextmanager
async def bulk_import(settings: Settings, actor: str, manner: Manner, tenant: str | None) -> AsyncIterator[BulkImport]:
    """Whoever imports, audited as `actor`. Raises Refusal(UNAVAILABLE) when the database doesn't answer."""
    hashing = settings.hashing
    hashes = Argon2Hashes(COSTS[hashing.argon2], threads=hashing.threads or usable_cores(), queue=BATCH)
    try:
        async with patient_database(settings.database) as database:
            passwords = Passwords(hashes, prepare, SystemClock(), scram=hashing.scram)
            yield BulkImport(postgres_tenancy(database), passwords, actor, manner, tenant)
    finally:
        hashes.close()
