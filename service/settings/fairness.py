"""Fair shares: what one tenant may take of what all tenants share in one process.

Owns the few numbers that a provider may want to change. Refuses to know how turns are shared out (G16).
"""

from typing import Annotated

from pydantic import Field

from service.settings.section import Count, Section


class FairnessSettings(Section):
    """What tenants share, and in which parts."""

    by_tenant: bool = True
    """Whether each tenant gets its turn; false serves all of them in the order they come, as if they were one."""
    most: Annotated[float, Field(ge=0.1, le=1.0)] = 0.8
    """The part that one tenant alone may hold of sessions, connections to Postgres, memory and queues; 1 for all."""
    steps: Count = 4
    """Steps of sessions that run before sockets are looked at again: fewer let others in sooner.

    Each is 50 microseconds. While one tenant alone has anything to do, and for those with savings, 8 times as many.
    """
    store_reads: Count = 384
    """Reads of messages from the object store that one process makes at a time; half may be ahead of clients."""
