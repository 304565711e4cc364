"""`poplar migrate`: bring the database up to this release.

Owns that the owner's login is used. Refuses to know what a migration does.
"""

from collections.abc import Callable

from service.settings import Settings
from service.stores.postgres.migrate import migrate as apply


async def migrate(settings: Settings, told: Callable[[str], None]) -> list[str]:
    """What was applied now; `told` hears of what the owner may not do. Raises Refusal: INVALID, UNAVAILABLE."""
    return await apply(settings.database.url_for("owner"), told)
