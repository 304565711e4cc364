"""The in-memory twin of the units.

Owns that a block which raises leaves every row as it was. Refuses to keep others waiting: nothing here runs beside it,
as long as one unit is open at a time.
"""

import copy
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, fields
from uuid import UUID

from service.mail.units import Unit
from service.model.address import Address
from service.model.refusal import Reason, Refusal
from service.stores.memory.state import MemoryState
from service.stores.memory.tenancy import memory_tenancy
from service.stores.memory.tenancy.rows import domain_row, maildrop_row, tenant_row


class MemoryUnits:
    """Implements `mail.units.Units` for the whole service; it has no row-level security to confine a tenant's own."""

    def __init__(self, state: MemoryState) -> None:
        self._state = state

    @asynccontextmanager
    async def open(self, tenant_id: UUID | None) -> AsyncIterator[Unit]:
        """One transaction. Raises Refusal(UNAVAILABLE) for one within a tenant."""
        if tenant_id is not None:
            raise Refusal(Reason.UNAVAILABLE, "memory confines nobody to a tenant")
        # The clock is nobody's row: it goes on.
        before = copy.deepcopy(self._state, {id(self._state.now): self._state.now})
        try:
            yield Unit(memory_tenancy(self._state), MemoryHolds(self._state))
        except BaseException:
            for column in fields(before):
                setattr(self._state, column.name, getattr(before, column.name))
            raise


@dataclass(frozen=True, slots=True)
class MemoryHolds:
    """Implements `mail.units.Holds`: it only finds what it is to hold."""

    state: MemoryState

    async def tenant(self, name: str) -> None:
        """Raises Refusal(NOT_FOUND)."""
        tenant_row(self.state, name)

    async def domain(self, tenant: str, name: str) -> None:
        """Raises Refusal(NOT_FOUND)."""
        domain_row(self.state, tenant, name)

    async def maildrop(self, tenant: str, address: Address) -> None:
        """Raises Refusal(NOT_FOUND)."""
        maildrop_row(self.state, tenant, address)
