"""What a login does about outages: remembers what it showed, and reopens that for reading while Postgres is away.

Owns when a remembered listing is still the truth: only while this session holds the lease and the last one that any
front end showed to anybody is the one kept here. Else mail that a client saw elsewhere would be missing, and it would
forget that it had it (G14). A wrong password proves nothing then, as it may have been changed: it is refused as an
outage.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from service.mail.maildrop import OpenMaildrop
from service.mail.outage.memory import Memory
from service.mail.ports import Lease
from service.model.account import Account, Credential, MaildropKey
from service.model.listing import DropListing, Listing
from service.model.refusal import Reason, Refusal


class Showings(Protocol):
    """Which session was the last that a maildrop was shown to, over all front ends. Each may raise Refusal."""

    async def note(self, key: MaildropKey, token: str, seconds: float) -> None:
        """It was the session `token`; kept for so long."""

    async def last(self, key: MaildropKey) -> str | None:
        """The token of the last one; None if nobody knows."""


def _untold(outcome: str) -> None:
    """Whom nobody tells what came of a remembered login."""


@dataclass(frozen=True, slots=True)
class Reading:
    """The steps around a login; `told` hears `opened`, `stale` or `wrong`."""

    memory: Memory
    showings: Showings
    seconds: float
    """For how long a showing is noted: longer than anything is remembered."""
    told: Callable[[str], None] = _untold

    @contextmanager
    def honestly(self, account: Account | None) -> Iterator[None]:
        """While Postgres is away, a refusal of credentials says that it is (G14)."""
        try:
            yield
        except Refusal as refusal:
            if account is None or account.kept is None or refusal.reason is not Reason.CREDENTIALS:
                raise
            self.memory.missed(account.key)
            self.told("wrong")
            raise Refusal(Reason.UNAVAILABLE, f"Postgres is away, and as remembered {refusal.cause}") from refusal

    async def shown(
        self, name: str | None, account: Account, credential: Credential, lease: Lease, drop: DropListing
    ) -> None:
        """A session is about to be shown the maildrop: note it for all front ends, and remember it in this one.

        Without a name it is only noted: it sees less than the next one may.
        """
        try:
            await self.showings.note(account.key, lease.token, self.seconds)
        except Refusal:
            # Nobody could tell any more whether something newer was shown.
            name = None
        if name is None:
            self.memory.forget(account.key)
        else:
            self.memory.remember(name, account, credential, lease.token, drop)

    async def reopened(self, account: Account, sure: bool) -> DropListing:
        """What the maildrop holds, as it was shown last; `sure` if the lease is held and the whole is asked for.

        Raises Refusal(UNAVAILABLE) where that isn't, or can't be proved.
        """
        kept = account.kept
        if kept is None or not sure or await self._last(account.key) != kept.token:
            self.told("stale")
            raise Refusal(Reason.UNAVAILABLE, "Postgres is away, and what is remembered may not be what was shown last")
        self.told("opened")
        return kept.drop

    def listed(self, maildrop: OpenMaildrop, listing: Listing) -> None:
        """A session loaded its listing."""
        if maildrop.kept is None:
            self.memory.listed(maildrop, listing)

    async def _last(self, key: MaildropKey) -> str | None:
        try:
            return await self.showings.last(key)
        except Refusal:
            return None
