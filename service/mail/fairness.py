"""What a front end's sessions share in fair turns, as one value.

Owns the grouping, and that a front end without it shares first come, first served. Refuses to know what bounds each.
"""

from dataclasses import dataclass, field
from uuid import UUID

from service.mail.newcomers import Newcomers
from service.mail.pace import Pace
from service.mail.turns import UNBOUNDED, Bounds, Turns, Whose
from service.mail.whose import Owners


def _unbounded(resource: str) -> Turns:
    return Turns(resource, Bounds(UNBOUNDED))


@dataclass(frozen=True, slots=True)
class Fairness:
    """Whose a name is, places for sessions that are logged in, and the event loop's time."""

    owners: Owners | None = None
    """None where all are one class."""
    sessions: Turns = field(default_factory=lambda: _unbounded("sessions"))

    pace: Pace | None = None
    """None where sessions run in the order in which they are ready."""
    newcomers: Newcomers = field(default_factory=Newcomers)

    def known(self, name: str) -> Whose:
        """The class of whoever logs in as `name`, whether or not the name exists (G13); UNKNOWN if `whose` must ask."""
        return self.owners.known(name) if self.owners is not None else None

    async def whose(self, name: str) -> Whose:
        """The same, asked for if need be."""
        return await self.owners.of(name) if self.owners is not None else None

    def newcomer(self, network: str) -> Whose:
        """The class of who gave no name yet: the tenant's that comes from there, or else the network's itself.

        A crowd behind one address keeps few others waiting so.
        """
        return (self.newcomers.tenant(network) or network) if self.owners else None

    def tenant_of(self, network: str) -> Whose:
        """The tenant whose a client from there is taken to be; None for a stranger."""
        return self.newcomers.tenant(network)

    def logged_in(self, network: str, tenant: UUID, address: str) -> Whose:
        """The class of a session of this tenant, which came from there and logged in to the maildrop at `address`."""
        if self.owners is None:
            return None
        self.owners.confirm(address, tenant)
        self.newcomers.logged_in(network, tenant)
        return tenant
