"""`poplar import`: the messages of an archive into one maildrop.

Owns which stores the import works on, with the rights of deliveries. Refuses to know formats and progress bars.
"""

from collections.abc import Callable

from service.app.blobs import make_blobs
from service.app.clock import SystemClock
from service.app.databases import open_database
from service.mail.archives import Archive
from service.mail.importing import Import, Imported, import_recipient
from service.settings import Settings
from service.stores.postgres.directory import PostgresDirectory
from service.stores.postgres.index import PostgresMessageIndex


async def import_archive(settings: Settings, address: str, archive: Archive, tell: Callable[[Imported], None]) -> None:
    """Import everything; `tell` hears of each message once it is stored or refused.

    Raises Refusal as `import_recipient` and `Import.run` do; another run goes on where this one broke off.
    """
    blobs = make_blobs(settings.object_store)
    async with open_database(settings.database, "lmtp") as database:
        recipient = await import_recipient(PostgresDirectory(database), address)
        run = Import(PostgresMessageIndex(database), blobs, SystemClock(), recipient)
        async for imported in run.run(archive):
            tell(imported)
