"""`poplar export`: the messages of one maildrop into a Maildir.

Owns which stores the export works on, with the rights of provisioning. Refuses to know formats and progress bars.
"""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

from service.app.blobs import make_blobs
from service.app.provisioning import patient_database
from service.mail.exporting import Exported, begin_export
from service.mail.provisioning import Office
from service.mail.retrieval import Resumption, Retrieval
from service.settings import Settings
from service.stores.postgres.tenancy import postgres_tenancy

PATIENCE = 60.0
"""Seconds for which the object store may give nothing: nobody waits for a status."""


async def export_maildrop(
    settings: Settings, actor: str, address: str, path: Path, tell: Callable[[Exported, int], None]
) -> None:
    """Export everything; `tell` hears of each message once it is written or refused, and how many there are.

    Raises Refusal and OSError as `begin_export` and `Export.run` do; another run goes on where this one broke off.
    """
    retrieval = Retrieval(make_blobs(settings.object_store), Resumption(patience=PATIENCE))
    async with patient_database(settings.database) as database:
        office = Office(postgres_tenancy(database), actor, timedelta(days=settings.sweep.removed_retention_days))
        export = await begin_export(office, retrieval, address, path)
        async for exported in export.run():
            tell(exported, export.view.messages)
