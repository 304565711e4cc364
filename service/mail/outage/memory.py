"""Maildrops as this process showed them lately: bounded, short-lived, and only whole ones.

Owns when a maildrop is complete (the listing that its counters select, and the place of each message) and when it is
forgotten: after its time, for want of room, after a removal, after some wrong passwords. Keeps of the account the one
credential that opened it, as it was stored then. Refuses to judge whether what it keeps is still what clients saw last.
"""

from collections import OrderedDict
from dataclasses import dataclass, replace
from typing import Protocol

from service.mail.afterwards import Afterwards
from service.mail.maildrop import OpenMaildrop
from service.mail.ports import Clock, MessageIndex
from service.model.account import Account, Credential, MaildropKey
from service.model.kept import Kept
from service.model.listing import DropListing, Listing
from service.model.outside import login_address
from service.model.refusal import Refusal

MOST = 4
"""Maildrops whose places are being asked for."""
ACCOUNT_OCTETS = 2048
MISSES = 3
"""Wrong passwords after which a maildrop is forgotten: nobody guesses at what a process remembers."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much is remembered, and for how long."""

    seconds: float = 300.0
    messages: int = 1000
    """Messages of the largest maildrop that is remembered."""
    octets: int = 64 * 1024 * 1024
    """Of all of them together."""


@dataclass(slots=True)
class _Record:
    name: str
    account: Account
    token: str
    drop: DropListing
    until: float
    kept: Kept | None = None
    misses: int = 0

    @property
    def octets(self) -> int:
        return ACCOUNT_OCTETS + (self.kept.octets if self.kept else 0)


class Watcher(Protocol):
    """Hears what is remembered."""

    def completed(self) -> None:
        """All of a maildrop is known."""

    def holds(self, octets: int) -> None:
        """So much is remembered now."""


class Unwatched:
    """A watcher that forgets."""

    def completed(self) -> None:
        """Forget it."""

    def holds(self, octets: int) -> None:
        """Forget it."""


class Memory:
    """What one process remembers; one record a maildrop, of the last session it opened there."""

    def __init__(self, clock: Clock, index: MessageIndex, bounds: Bounds, watcher: Watcher | None = None) -> None:
        self._clock = clock
        self._index = index
        self._bounds = bounds
        self._watcher = watcher or Unwatched()
        self._records: OrderedDict[MaildropKey, _Record] = OrderedDict()
        self._keys: dict[str, MaildropKey] = {}
        self._work = Afterwards(MOST)
        self.octets = 0
        """About how much memory all records take."""

    def __len__(self) -> int:
        """How many maildrops are remembered."""
        return len(self._records)

    def remember(self, name: str, account: Account, credential: Credential, token: str, drop: DropListing) -> None:
        """Keep that `credential` just opened the maildrop as `name`, and what it was shown under `token`.

        A listing that is kept already stays, if its counters are still the same.
        """
        before = self._records.get(account.key)
        kept = before.kept if before is not None and before.drop == drop else None
        self.forget(account.key)
        # What an outside directory brought or judged, it is asked for again: only Postgres is away.
        own = (credential,) if account.outside is None else ()
        known = replace(account, credentials=own, outside=None)
        until = self._clock.monotonic() + self._bounds.seconds
        kept = kept and replace(kept, token=token)
        self._add(_Record(_plain(name), known, token, drop, until, kept))

    def listed(self, maildrop: OpenMaildrop, listing: Listing) -> None:
        """A session loaded its listing: ask for the places of its messages, beside it, unless they are kept."""
        record = self._records.get(maildrop.key)
        if record is None or record.token != maildrop.lease.token or record.kept is not None:
            return
        if 0 < len(listing) <= self._bounds.messages:
            self._work.begin(maildrop.key.maildrop_id, lambda: self._complete(record, listing))

    def recall(self, name: str) -> Account | None:
        """The account that logged in as `name` lately, with all that its session was shown; None if not all is kept."""
        key = self._keys.get(_plain(name))
        record = self._records[key] if key is not None else None
        if record is None or record.kept is None:
            return None
        if record.until <= self._clock.monotonic():
            self.forget(record.account.key)
            return None
        return replace(record.account, kept=record.kept)

    def missed(self, key: MaildropKey) -> None:
        """A wrong password was tried on what is remembered."""
        record = self._records.get(key)
        if record is not None:
            record.misses += 1
            if record.misses >= MISSES:
                self.forget(key)

    def forget(self, key: MaildropKey) -> None:
        """Remember nothing of this maildrop."""
        record = self._records.pop(key, None)
        if record is not None:
            del self._keys[record.name]
            self._grow(-record.octets)

    async def settled(self) -> None:
        """Wait for what is being asked for."""
        await self._work.settled()

    async def close(self) -> None:
        """Give what is being asked for a short while."""
        await self._work.close()

    async def _complete(self, record: _Record, listing: Listing) -> None:
        key = record.account.key
        try:
            places = await self._index.locate(key, listing.sequences)
        except Refusal:
            return
        if len(places) == len(listing) and self._records.get(key) is record:
            before = record.octets
            record.kept = Kept(record.token, record.drop, listing, places)
            self._grow(record.octets - before)
            self._make_room()
            self._watcher.completed()

    def _add(self, record: _Record) -> None:
        key = record.account.key
        if (other := self._keys.get(record.name)) is not None:
            self.forget(other)
        self._records[key] = record
        self._keys[record.name] = key
        self._grow(record.octets)
        self._make_room()

    def _make_room(self) -> None:
        """Forget the oldest: those whose time is over, and more if there are too many octets."""
        now = self._clock.monotonic()
        while (oldest := next(iter(self._records.values()), None)) is not None:
            if oldest.until > now and self.octets <= self._bounds.octets:
                break
            self.forget(oldest.account.key)

    def _grow(self, octets: int) -> None:
        self.octets += octets
        self._watcher.holds(self.octets)


def _plain(name: str) -> str:
    """The name in the form in which names are equal."""
    address = login_address(name)
    return address.base if address else name
