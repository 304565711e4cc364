"""`poplar migrate`: bring the database up to this release.

Owns that the owner's login is used. Refuses to know what a migration does.
"""

from service.settings import Settings
from service.stores.postgres.migrate import migrate as apply


async def migrate(settings: Settings) -> list[str]:
    """The versions that were applied now. Raises Refusal: INVALID, UNAVAILABLE."""
    return await apply(settings.database.url_for("owner"))
