"""Reading a maildrop while Postgres is away, for who opened it a moment before; off unless a setting asks for it.

Owns what is remembered of a login that went well, for how long, and what must hold before it may open the maildrop
again: the lease, and that nobody was shown anything newer. Such a session can remove nothing (G2 to G4): it has no
fence.
"""

from service.mail.outage.directory import OutageDirectory
from service.mail.outage.memory import Bounds, Memory
from service.mail.outage.reading import Reading, Showings

__all__ = ["Bounds", "Memory", "OutageDirectory", "Reading", "Showings"]
