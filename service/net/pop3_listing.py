"""One session's listing: loaded once, and paid for out of what all sessions of a process may hold of listings.

Owns how many octets it holds. Refuses to know numbers and marks, which are the session's.
RFC 1939 §4 (the numbers of a session), §7 (UIDL).
"""

from service.mail.budget import Budget
from service.mail.maildrop import OpenMaildrop
from service.mail.ports import MessageIndex
from service.model.listing import Listing
from service.net.pop3_turns import SessionTurns

LISTING_OCTETS = 34
"""What one message costs: 16 octets of unique_id, 8 of octets, 8 of sequence number, one each for its mark and RETR."""


class HeldListing:
    """What a session holds of a budget, from `load` to `forget`."""

    __slots__ = ("_budget", "_octets", "_turns")

    def __init__(self, budget: Budget, turns: SessionTurns) -> None:
        self._budget = budget
        self._turns = turns
        self._octets = 0

    async def load(self, held: OpenMaildrop, index: MessageIndex) -> Listing:
        """The listing frozen at login. Raises Refusal, and then holds nothing."""
        try:
            await self._take(held.drop.messages * LISTING_OCTETS)
            listing = await (held.kept or index).listing(held.key, held.drop)
            # How many keep a unique-id of another server is known only now.
            await self._take(listing.imported.held)
        except BaseException:
            self.forget()
            raise
        return listing

    def forget(self) -> None:
        """Give back what is held; no effect the second time."""
        octets, self._octets = self._octets, 0
        if octets:
            self._budget.give_back(octets, self._turns.whose)

    async def _take(self, octets: int) -> None:
        if octets:
            await self._budget.take(octets, self._turns.whose)
            self._octets += octets
