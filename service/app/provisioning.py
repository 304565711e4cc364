"""Provisioning, as staff's commands and the demo use it.

Owns which stores, hashes and login stand behind the use cases. Refuses to know who calls, save the name that the
audit gets.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

from service.app.clock import SystemClock
from service.app.databases import open_database
from service.mail.passwords import Passwords
from service.mail.provisioning import Office, Provisioning
from service.mail.provisioning import provisioning as over
from service.model.refusal import Refusal
from service.model.saslprep import prepare
from service.settings import Settings
from service.settings.systems import DatabaseSettings
from service.stores.passwords import COSTS, Argon2Hashes
from service.stores.postgres.database import Database
from service.stores.postgres.tenancy import postgres_tenancy

PATIENCE = 120.0
"""Seconds that one act of staff may take: the removal of a tenant marks each of its messages."""


@asynccontextmanager
async def provisioning(settings: Settings, actor: str) -> AsyncIterator[Provisioning]:
    """The use cases, with the login of provisioning; every write is audited as `actor`'s.

    Raises Refusal(UNAVAILABLE) when the database doesn't answer.
    """
    retention = timedelta(days=settings.sweep.removed_retention_days)
    hashes = Argon2Hashes(COSTS[settings.hashing.argon2], threads=1)
    passwords = Passwords(hashes, prepare, SystemClock(), scram=settings.hashing.scram)
    try:
        async with patient_database(settings.database) as database:
            yield over(Office(postgres_tenancy(database), actor, retention), passwords)
    finally:
        hashes.close()


@asynccontextmanager
async def patient_database(settings: DatabaseSettings, seconds: float = PATIENCE) -> AsyncIterator[Database]:
    """A database that answered within its own deadline, and may take `seconds` from then on.

    Raises Refusal(UNAVAILABLE) when it doesn't answer.
    """
    async with open_database(settings, "api") as database:
        try:
            await database.ping()
        except Refusal as refusal:
            raise Refusal(refusal.reason, f"the database can't be reached: {refusal.cause}") from refusal
    longer = settings.model_copy(update={"deadline": max(seconds, settings.deadline)})
    async with open_database(longer, "api") as database:
        yield database
