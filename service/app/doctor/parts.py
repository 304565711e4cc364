"""Which of Poplar's parts the settings are for: a pod has the login of its own part alone, and is no worse for that.

Owns the guess, by the URLs of the database that are set. Refuses to look whether any of them works.
"""

from typing import get_args

from service.settings import Settings
from service.settings.systems import Role

ALL: frozenset[Role] = frozenset(get_args(Role))


def parts_of(settings: Settings) -> frozenset[Role]:
    """The parts that have a URL of their own; all of them where there is one for all, or none at all."""
    database = settings.database
    own = frozenset(role for role in ALL if getattr(database, f"{role}_url"))
    return ALL if "url" in database.model_fields_set or not own else own
