"""Whose work is being done: the class of callers whose turn it takes where tenants share something.

Owns the class of the running context, for ports whose calls don't say it, and how a name comes to one: by its domain
alone, so that neither time nor refusals of a busy process tell whether the name exists (G13). Names in domains that are
nobody's share one class. Refuses to decide anything else by it.
"""

import asyncio
from collections import OrderedDict
from contextvars import ContextVar
from uuid import UUID

from service.mail.ports import DomainOwners
from service.mail.turns import Turns, Whose
from service.model.address import parse_address
from service.model.refusal import Refusal

OWN = "poplar"
"""The class of what Poplar does of its own accord, such as to look after its leases."""
WHOSE: ContextVar[Whose] = ContextVar("whose", default=OWN)
"""Set at the beginning of each effect of a session; what the effect begins inherits it."""
UNKNOWN = object()
"""Stands for the class of a name that has to be asked for."""
REMEMBERED = 65_536
"""Domains whose tenant is remembered, at some 200 octets each."""
PATIENCE = 2.0
"""Seconds for an answer, its turn included: while Postgres is away, a login hears so by its own look-up."""
STRANGERS = 64
"""Classes of domains that aren't known yet: a flood of one, or of many, keeps few others waiting."""


class Owners:
    """The tenant that a name belongs to, if any; asked for once, until a login shows that the domain changed hands."""

    def __init__(
        self, domains: DomainOwners, turns: Turns, remembered: int = REMEMBERED, patience: float = PATIENCE
    ) -> None:
        self._domains = domains
        self._turns = turns
        self._remembered = remembered
        self._patience = patience
        self._known: OrderedDict[str, UUID] = OrderedDict()
        self._names: dict[UUID, str] = {}

    def known(self, name: str) -> Whose:
        """The tenant's id, None for a name without a domain, or UNKNOWN: then `of` asks."""
        try:
            domain = parse_address(name).domain
        except ValueError:
            return None
        known = self._known.get(domain)
        if known is None:
            return UNKNOWN
        self._known.move_to_end(domain)
        return known

    async def of(self, name: str) -> Whose:
        """The tenant's id; None for a domain that is nobody's, and while it can't be asked. Raises nothing."""
        known = self.known(name)
        if known is not UNKNOWN:
            return known
        domain = parse_address(name).domain
        try:
            async with asyncio.timeout(self._patience), self._turns.turn(hash(domain) % STRANGERS):
                return await self._ask(domain)
        except (Refusal, TimeoutError):
            return None

    def confirm(self, address: str, tenant_id: UUID) -> None:
        """A login to the maildrop of this address was the tenant's: where another is remembered, it is forgotten."""
        domain = address.rpartition("@")[2]
        if self._known.get(domain, tenant_id) != tenant_id:
            del self._known[domain]

    def name(self, whose: Whose) -> str:
        """What staff call this class: the tenant's name, as far as it is remembered."""
        if not isinstance(whose, UUID):
            return "nobody's"
        return self._names.get(whose, str(whose))

    async def _ask(self, domain: str) -> Whose:
        # Of many that came at once, the first one asked for all.
        if domain not in self._known and (owner := await self._domains.owner(domain)) is not None:
            self._remember(domain, *owner)
        return self._known.get(domain)

    def _remember(self, domain: str, tenant_id: UUID, tenant: str) -> None:
        self._known[domain] = tenant_id
        self._names[tenant_id] = tenant
        if len(self._known) > self._remembered:
            _, forgotten = self._known.popitem(last=False)
            self._names.pop(forgotten, None)
