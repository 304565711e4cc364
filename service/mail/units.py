"""One request's worth of provisioning as one transaction: what it read still stands when it writes, or nothing does.

Owns the ports `Units` and `Holds`, by which a change can depend on what was read before. Refuses to know who asks.
RFC 9110 §13.1.1 (If-Match: a change that would lose another one is refused).
"""

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from service.mail.tenancy import Tenancy
from service.model.address import Address


class Holds(Protocol):
    """Keeps others from changing one thing until the unit ends. Taken from the outside in: tenant, domain, maildrop."""

    async def tenant(self, name: str) -> None:
        """Raises Refusal(NOT_FOUND)."""

    async def domain(self, tenant: str, name: str) -> None:
        """Nothing comes or goes in the domain either. Raises Refusal(NOT_FOUND)."""

    async def maildrop(self, tenant: str, address: Address) -> None:
        """Its credentials stay too. Raises Refusal(NOT_FOUND)."""


@dataclass(frozen=True, slots=True)
class Unit:
    """All of it commits at the end of the block, or none of it when the block raises."""

    tenancy: Tenancy
    holds: Holds


class Units(Protocol):
    """Where units come from."""

    def open(self, tenant_id: UUID | None) -> AbstractAsyncContextManager[Unit]:
        """A unit; with a tenant's id, one in which nothing of any other tenant's exists (G10)."""
