"""What a front end does while Postgres is away.

Owns the bounds of what it remembers for that. Refuses to know how a maildrop is opened.
"""

from typing import Annotated

from pydantic import Field

from service.settings.section import Count, Section


class OutageSettings(Section):
    """Reading while Postgres is away."""

    read_only: bool = False
    """Whether who logged in lately at this process may read on while Postgres is away, unseen suspensions and all."""
    remember_seconds: Annotated[float, Field(gt=0, le=3600)] = 300.0
    """Seconds since a login for which it may be repeated so: as long, a changed password or suspension may not bind."""
    messages: Count = 1000
    """Messages of the largest maildrop that is remembered."""
    octets: Count = 64 * 1024 * 1024
    """Octets of listings and places that one process remembers, some 900 a message; the oldest are forgotten."""
