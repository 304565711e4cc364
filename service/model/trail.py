"""By what one session is followed through the log, the events and the audit.

Owns the names alone: an id that is random, the client's address, and how it proved who it is. Refuses to hold anything
secret, and any text of a message (G17).
"""

from typing import NamedTuple


class Trail(NamedTuple):
    """One session of one client; empty where it isn't known."""

    session_id: str = ""
    client: str = ""
    """The client's network address."""
    mechanism: str = ""
    credential: str = ""
    """The label of the credential that let it in."""


NO_TRAIL = Trail()
