"""Whose a client is taken to be before it gives a name: the tenant's whose sessions came from its address before.

Owns the memory of addresses. Without it the first steps of a busy tenant's sessions are those of hundreds of strangers,
who stand in everybody's way beyond that tenant's share (G16). An address that two tenants' sessions came from, as of a
webmail server or an office, is a stranger's as long as it is remembered, since either tenant might be busy. Nothing is
decided by it but whose turn it is, and no name tells it (G13).
"""

from dataclasses import dataclass, field

from service.mail.turns import Whose

REMEMBERED = 16_384
"""Addresses, at some 200 octets each; the one that came first is forgotten first."""


@dataclass(frozen=True, slots=True)
class Newcomers:
    """The memory of one process."""

    remembered: int = REMEMBERED
    _tenants: dict[str, Whose] = field(default_factory=dict)
    """By network; None where there were several."""

    def whose(self, network: str) -> Whose:
        """The class of a client from this network: a tenant's id, or the network itself."""
        return self._tenants.get(network) or network

    def logged_in(self, network: str, tenant: Whose) -> None:
        """A session of this tenant, from this network."""
        known = self._tenants
        if network in known:
            if known[network] != tenant:
                known[network] = None
            return
        if len(known) >= self.remembered:
            del known[next(iter(known))]
        known[network] = tenant
