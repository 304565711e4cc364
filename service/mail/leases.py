"""The leases of this process: renewed together, and their loss told to the sessions that hold them.

Owns when a session has lost its maildrop. A lease is believed as long as it never ended: one that ran out, was
forgotten or could not be had proves nothing, because others may have come and gone; then the fences tell whose
session is the newest, and only that one goes on (G4, G5). Refuses to judge by itself who may remove.
"""

import asyncio
from collections.abc import Callable, Iterable, Set
from dataclasses import dataclass

from service.mail.allowances import Places
from service.mail.maildrop import OpenMaildrop
from service.mail.ports import Lease, MaildropLocks, MessageIndex
from service.mail.unreleased import Unreleased
from service.model.account import Account, MaildropKey
from service.model.refusal import Reason, Refusal

OnLost = Callable[[], None]
JUDGED_WITHIN = 1.5
"""Seconds that Postgres has to tell the newest fences: the next renewal waits for it, and leases run out."""
OWED = 4096
"""Sessions that are over, of which one process remembers that an older one may have to be told, at some 500 octets."""


@dataclass(slots=True)
class _Held:
    maildrop: OpenMaildrop
    on_lost: OnLost
    sure: bool
    """Whether the lease has been held without a gap since the fence was written."""


class Leases:
    """Every maildrop that a session of this process holds, by its lease's token."""

    def __init__(self, locks: MaildropLocks, index: MessageIndex, places: Places | None = None) -> None:
        self._locks = locks
        self._index = index
        self._places = places
        self._unreleased = Unreleased()
        self._opening: dict[str, Lease] = {}
        self._held: dict[str, _Held] = {}
        self._owed: dict[MaildropKey, OpenMaildrop] = {}
        """Those that ended without being sure of their lease: an older session may still believe in its own."""

    def __len__(self) -> int:
        """How many are held."""
        return len(self._held)

    def opening(self, lease: Lease) -> None:
        """Renew it from now on, however long the rest of the login takes; until `hold` or `release`."""
        self._opening[lease.token] = lease

    def hold(self, maildrop: OpenMaildrop, on_lost: OnLost) -> None:
        """Judge it from now on too; `on_lost` is called at most once, when another session holds the maildrop."""
        self._opening.pop(maildrop.lease.token, None)
        self._held[maildrop.lease.token] = _Held(maildrop, on_lost, maildrop.guarded)

    async def counted(self, account: Account, client: str, lease: Lease) -> None:
        """Count the session that holds `lease` until its release. Raises Refusal(TOO_MANY_SESSIONS)."""
        if self._places is not None:
            await self._places.take(account, client, lease.token)

    async def release(self, lease: Lease) -> None:
        """Stop renewing and free the maildrop; where the store can't be reached, at a renewal once it can (G6)."""
        self._opening.pop(lease.token, None)
        held = self._held.pop(lease.token, None)
        if held is not None and not held.sure:
            self._owe(held.maildrop)
        if self._places is not None:
            await self._places.give_back(lease.token)
        try:
            await self._locks.release(lease)
        except Refusal:
            self._unreleased.add(lease)

    async def renew(self) -> None:
        """Extend all leases in one batch, and end the sessions that are no longer the newest.

        Raises Refusal(UNAVAILABLE) when either store can't be asked; nothing is lost for that alone.
        """
        await self._unreleased.try_again(self._locks)
        if self._held or self._opening:
            await self._renew()
        if self._owed:
            await self._displace()

    async def _renew(self) -> None:
        held = [each.maildrop.lease for each in self._held.values()]
        try:
            renewal = await self._locks.renew([*held, *self._opening.values()])
        except Refusal:
            # Whoever logs in now gets no lease either, so that none of ours proves anything any more.
            tokens = set(self._held)
            self._doubt(tokens)
            await self._judge(set(), tokens)
            raise
        lost = _tokens(renewal.lost)
        for token in lost:
            if token in self._held and self._held[token].sure:
                self._lose(token)
        self._doubt(_tokens(renewal.regained))
        await self._judge(lost, _tokens(renewal.unanswered))

    async def keep(self, every: float, report: Callable[[Refusal | None], None]) -> None:
        """Renew every `every` seconds until cancelled; `report` hears of each round's refusal, or None."""
        while True:
            await asyncio.sleep(every)
            try:
                await self.renew()
            except Refusal as refusal:
                report(refusal)
            else:
                report(None)

    def _owe(self, maildrop: OpenMaildrop) -> None:
        self._owed.pop(maildrop.key, None)
        self._owed[maildrop.key] = maildrop
        if len(self._owed) > OWED:
            del self._owed[next(iter(self._owed))]

    async def _displace(self) -> None:
        """Have older sessions notice that a newer one, which is over, had the maildrop without its lease (G5).

        Nothing but the loss of their lease tells them: each renewal of it would go on to succeed.
        """
        owed = list(self._owed.values())
        newest = await self._newest(owed)
        await asyncio.gather(*(self._take_back(maildrop, newest=maildrop.fence in newest) for maildrop in owed))

    async def _take_back(self, maildrop: OpenMaildrop, *, newest: bool) -> None:
        try:
            if newest and await self._locks.seize(maildrop.lease):
                await self._locks.release(maildrop.lease)
        except Refusal:
            # The next round tries again.
            return
        if self._owed.get(maildrop.key) is maildrop:
            del self._owed[maildrop.key]

    def _doubt(self, tokens: Set[str]) -> None:
        for token in tokens:
            if token in self._held:
                self._held[token].sure = False

    def _lose(self, token: str) -> None:
        held = self._held.pop(token, None)
        if held is not None:
            held.on_lost()

    async def _judge(self, lost: Set[str], unanswered: Set[str]) -> None:
        """End those in doubt whose fence isn't the newest; the newest one gets the lease, whoever has it now."""
        doubtful = {token: held.maildrop for token, held in self._held.items() if not held.sure}
        if not doubtful:
            return
        newest = await self._newest(doubtful.values())
        for token, maildrop in doubtful.items():
            if maildrop.fence not in newest:
                self._lose(token)
            elif token in lost:
                await self._seize(maildrop.lease)
            elif token in self._held:
                self._held[token].sure = token not in unanswered

    async def _newest(self, maildrops: Iterable[OpenMaildrop]) -> Set[bytes]:
        """Which of their fences are the newest. Raises Refusal(UNAVAILABLE) in time for the next renewal."""
        try:
            async with asyncio.timeout(JUDGED_WITHIN):
                return await self._index.newest([(maildrop.key, maildrop.fence) for maildrop in maildrops])
        except TimeoutError as error:
            raise Refusal(Reason.UNAVAILABLE, f"the fences were not told within {JUDGED_WITHIN:g} s") from error

    async def _seize(self, lease: Lease) -> None:
        if lease.token not in self._held:
            return
        seized = await self._locks.seize(lease)
        if lease.token not in self._held:
            # The session ended meanwhile, and its release may have come first.
            await self.release(lease)
        elif seized:
            self._held[lease.token].sure = True
        else:
            self._lose(lease.token)


def _tokens(leases: Iterable[Lease]) -> set[str]:
    return {lease.token for lease in leases}
