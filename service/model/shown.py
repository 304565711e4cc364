"""What part of a maildrop a session sees, by when messages were received.

Owns the two bounds. Refuses to know which policy set them and what time it is: the store's own clock says that.
"""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Shown:
    """Only messages received since a moment, and only those of the last days; None is no bound."""

    since: datetime | None = None
    days: int | None = None


EVERYTHING = Shown()
