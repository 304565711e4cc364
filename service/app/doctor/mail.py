"""Do the database and the store of mail belong together: does it know the tenants whose mail is stored?

Owns the advice, and how many tenants are looked at. What else is wrong with either system, its own check says.
"""

from collections.abc import AsyncIterator

from service.app.blobs import make_blobs
from service.app.databases import open_database
from service.app.doctor.findings import Finding, doubtful, good
from service.app.doctor.parts import parts_of
from service.app.doctor.systems import not_there_yet
from service.mail.tenants_stored import tenants_stored
from service.model.refusal import Refusal
from service.model.tenancy import counted
from service.settings import Settings, SettingsError
from service.stores.postgres.sweep import PostgresSweepable

LOOKED_AT = 20
"""Tenants of the store that are looked at: each takes a request. Of a wrong database or store none is known."""
ADVICE = (
    "Check database and object_store.url: one database to one bucket or prefix. If the database was restored from a "
    "backup, see Backups in deploy/by-hand.md before the sweep runs. Of tenants removed longer ago than "
    "sweep.audit_retention_days, delete the folders by hand."
)


async def check_mail(settings: Settings) -> AsyncIterator[Finding]:
    """The first tenants of the store, with the sweep's login, which may list them and knows who was removed."""
    if "sweep" not in parts_of(settings) or not_there_yet(settings.object_store.url):
        return
    try:
        stored = await tenants_stored(make_blobs(settings.object_store), LOOKED_AT)
        async with open_database(settings.database, "sweep") as database:
            known = await PostgresSweepable(database).known(stored)
    except (Refusal, SettingsError, OSError):
        return
    strangers = [tenant.hex for tenant in stored if tenant not in known]
    if strangers:
        told = f"the store has a folder {strangers[0]}, of a tenant that this database doesn't know"
        yield doubtful("stored mail", f"{told}; so are {len(strangers)} of {len(stored)} looked at", ADVICE)
    elif stored:
        yield good("stored mail", f"{counted(len(stored), 'tenant')} that have some are in this database")
