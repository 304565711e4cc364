"""`poplar maildrop explain`: the explanation over its stores.

Owns which logins it uses: provisioning's for the database, and Redis as far as it answers. Refuses to judge.
"""

from service.app.clock import SystemClock
from service.app.guarding import staff_guard
from service.app.leasing import open_locks, open_recent
from service.app.provisioning import patient_database
from service.mail.explaining import Explanation, Sources, explained
from service.settings import Settings
from service.stores.postgres.tenancy import postgres_tenancy


async def explain(settings: Settings, address: str, client: str | None) -> Explanation:
    """Why a client can or can't log in as `address`. Raises Refusal: INVALID, UNAVAILABLE."""
    async with (
        patient_database(settings.database) as database,
        open_recent(settings) as recent,
        open_locks(settings) as locks,
    ):
        default, guard = settings.directory.default, staff_guard(settings, locks)
        sources = Sources(
            postgres_tenancy(database), recent, SystemClock(), default, guard, bool(settings.tls.client_ca)
        )
        return await explained(sources, address, client=client)
