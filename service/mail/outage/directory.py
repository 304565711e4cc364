"""The directory as a login sees it while Postgres is away: who logged in lately is remembered, others are refused.

Owns that both cost the same: a name that isn't remembered costs a computation, as a wrong password for one that is does
(G13). Only logins with a password come this way: a SCRAM exchange would show who is remembered by its challenge.
"""

import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from service.mail.outage.memory import Memory
from service.mail.ports import Directory
from service.model.account import Account, Recipient
from service.model.address import Address
from service.model.policy import Announced
from service.model.refusal import Reason, Refusal


@dataclass(frozen=True, slots=True)
class OutageDirectory:
    """Implements `mail.ports.Directory` over another one; `spend` costs what a wrong password does."""

    directory: Directory
    memory: Memory
    spend: Callable[[], Awaitable[object]]

    async def find(self, name: str) -> Account | None:
        """The account; while the directory is away the one that is remembered. Raises Refusal(UNAVAILABLE)."""
        try:
            return await self.directory.find(name)
        except Refusal as refusal:
            if refusal.reason is not Reason.UNAVAILABLE:
                raise
            account = self.memory.recall(name)
            if account is None:
                with contextlib.suppress(Refusal):
                    await self.spend()
                raise
        return account

    async def resolve(self, address: Address) -> Recipient:
        """As the port says."""
        return await self.directory.resolve(address)

    async def announced(self) -> Announced:
        """As the port says."""
        return await self.directory.announced()
