"""Whose a client is taken to be before it gives a name: the tenant's whose sessions came from its address before.

Owns the memory of addresses. Without it the first steps of a busy tenant's sessions are those of hundreds of strangers,
who stand in everybody's way beyond that tenant's share (G16). An address that two tenants' sessions came from within
a day, as of a webmail server or an office, is a stranger's, since either tenant might be busy. Nothing is decided by it
but whose turn it is, and no name tells it (G13).
"""

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

from service.mail.turns import Whose

REMEMBERED = 16_384
"""Addresses, at some 340 octets each; the one that was heard of longest ago is forgotten first."""
COUNTS_FOR = 86_400.0
"""Seconds that a visit counts: of a client that comes each ten minutes, each of many processes sees a few in a day."""


@dataclass(slots=True)
class Came:
    """Who came from an address last and until when that counts, and until when another tenant's visit counts."""

    tenant: Whose
    until: float
    shared_until: float = 0.0


@dataclass(frozen=True, slots=True)
class Newcomers:
    """The memory of one process; `clock` gives seconds."""

    remembered: int = REMEMBERED
    clock: Callable[[], float] = time.monotonic
    _came: OrderedDict[str, Came] = field(default_factory=OrderedDict)
    """By network, whoever was heard of last at the end."""

    def tenant(self, network: str) -> Whose:
        """The tenant whose a client from this network is taken to be; None for a stranger."""
        came = self._came.get(network)
        return came.tenant if came is not None and came.shared_until <= self.clock() < came.until else None

    def logged_in(self, network: str, tenant: Whose) -> None:
        """A session of this tenant, from this network."""
        until = self.clock() + COUNTS_FOR
        came = self._came.get(network)
        if came is None:
            self._make_room()
            self._came[network] = Came(tenant, until)
            return
        self._came.move_to_end(network)
        if came.tenant != tenant:
            # It stays a stranger's for as long as the other's visit counts.
            came.tenant, came.shared_until = tenant, came.until
        came.until = until

    def _make_room(self) -> None:
        if len(self._came) >= self.remembered:
            self._came.popitem(last=False)
