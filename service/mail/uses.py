"""When credentials were last used, kept roughly and beside the login, so that staff see which ones nobody needs.

Owns how often: a credential that this process kept lately isn't asked about again, and the store writes once in
`EVERY` whoever asks. Bounded; whatever goes wrong, the login stands and a later one tries again (G15).
"""

from collections import OrderedDict
from datetime import timedelta
from functools import partial
from typing import Protocol
from uuid import UUID

from service.mail.afterwards import Afterwards
from service.mail.ports import Clock
from service.model.account import Credential, MaildropKey
from service.model.refusal import Refusal

EVERY = timedelta(minutes=15)
EVERY_SECONDS = EVERY.total_seconds()
MOST = 16
"""Writes at a time."""
ENTRIES = 65_536
"""Credentials that one process remembers to have kept, at some 150 octets each."""


class LastUses(Protocol):
    """The moments themselves."""

    async def note(self, key: MaildropKey, credential_id: UUID, every: timedelta) -> None:
        """Keep that the credential was used now, unless one use within `every` is kept already.

        Nothing comes of a credential that isn't there. Raises Refusal(UNAVAILABLE).
        """


class Uses:
    """Keeps uses of credentials."""

    def __init__(self, last_uses: LastUses, clock: Clock) -> None:
        self._last_uses = last_uses
        self._clock = clock
        self._work = Afterwards(MOST)
        self._kept: OrderedDict[UUID, float] = OrderedDict()
        """Credential -> when it was kept; the oldest first."""

    def begin(self, key: MaildropKey, credential: Credential) -> None:
        """Keep that `credential` let somebody in."""
        which, now = credential.credential_id, self._clock.monotonic()
        kept = self._kept.get(which)
        if not credential.kept_outside and (kept is None or now - kept >= EVERY_SECONDS):
            self._work.begin(which, partial(self._note, key, which, now))

    async def settled(self) -> None:
        """Wait for all that have begun."""
        await self._work.settled()

    async def close(self) -> None:
        """Give those under way a short while, then end them."""
        await self._work.close()

    async def _note(self, key: MaildropKey, which: UUID, now: float) -> None:
        try:
            await self._last_uses.note(key, which, EVERY)
        except Refusal:
            return
        self._kept.pop(which, None)
        self._kept[which] = now
        if len(self._kept) > ENTRIES:
            self._kept.popitem(last=False)
