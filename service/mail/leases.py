"""The leases of this process: renewed together, and their loss told to the sessions that hold them.

Owns when a session has lost its maildrop. A lease is believed as long as it never ended: one that ran out, was
forgotten or could not be had proves nothing, because others may have come and gone; then the fences tell whose
session is the newest, and only that one goes on (G4, G5). Renewals wait for the store of leases alone; whoever is in
doubt is judged beside them, however slow the fences are told. Refuses to judge by itself who may remove.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum, auto

from service.mail.allowances import Places
from service.mail.maildrop import OpenMaildrop
from service.mail.ports import Lease, MaildropLocks, MessageIndex, Renewal
from service.mail.single_flight import SingleFlight
from service.mail.unreleased import Unreleased
from service.model.account import Account, MaildropKey
from service.model.refusal import Reason, Refusal

OnLost = Callable[[], None]
FRESH = 1.5
"""Seconds within which the fences must be told for a maildrop to be taken from its holder: a newer one may come."""
OWED = 4096
"""Sessions that are over, of which one process remembers that an older one may have to be told, at some 500 octets."""


class _Whose(Enum):
    """Whose a lease in doubt is, as far as the last renewal found."""

    OURS = auto()
    ANOTHERS = auto()
    UNKNOWN = auto()


@dataclass(frozen=True, slots=True, eq=False)
class _Doubt:
    """That a lease had a gap since the fence was written; a gap found later is another doubt."""

    whose: _Whose


@dataclass(frozen=True, slots=True)
class _Fenced:
    """A session's fence, which may be its maildrop's newest, and the lease that it has or should have had."""

    fence: bytes
    lease: Lease


def _unheard() -> None:
    """Whom nobody tells of a loss yet."""


@dataclass(slots=True, eq=False)
class _Session:
    """One that opens its maildrop, and then holds it."""

    lease: Lease
    fence: bytes
    doubt: _Doubt | None
    """None while no gap is known of, in the lease or between its grant and the fence."""
    on_lost: OnLost = _unheard
    found: bool = False
    """Whether a renewal found the lease since the fence was written: who came in a gap before that is older."""

    @property
    def sure(self) -> bool:
        """Whether the lease has been held since the fence was written."""
        return self.found and self.doubt is None


class Leases:
    """Every maildrop that a session of this process holds, by its lease's token."""

    def __init__(self, locks: MaildropLocks, index: MessageIndex, places: Places | None = None) -> None:
        self._locks = locks
        self._index = index
        self._places = places
        self._unreleased = Unreleased()
        self._opening: dict[str, _Session] = {}
        self._held: dict[str, _Session] = {}
        self._releasing: dict[str, Lease] = {}
        self._owed: dict[MaildropKey, _Fenced] = {}
        """Those that ended without being sure of their lease: an older session may still believe in its own."""

    def __len__(self) -> int:
        """How many are held."""
        return len(self._held)

    def opening(self, lease: Lease, fence: bytes, *, guarded: bool) -> None:
        """Renew it from now on, however long the rest of the login takes; until `hold` or `release`.

        `fence` is what the login will write, and `guarded` tells whether it had the lease.
        """
        self._opening[lease.token] = _Session(lease, fence, None if guarded else _Doubt(_Whose.UNKNOWN))

    def hold(self, maildrop: OpenMaildrop, on_lost: OnLost) -> None:
        """Judge it from now on too; `on_lost` is called at most once, when another session holds the maildrop."""
        token = maildrop.lease.token
        session = self._held[token] = self._opening.pop(token)
        session.on_lost = on_lost

    async def counted(self, account: Account, client: str, lease: Lease) -> None:
        """Count the session that holds `lease` until its release. Raises Refusal(TOO_MANY_SESSIONS)."""
        if self._places is not None:
            await self._places.take(account, client, lease.token)

    async def release(self, lease: Lease) -> None:
        """Stop renewing and free the maildrop; if the store is away, or this is cancelled, as soon as can be (G6)."""
        token = lease.token
        over = self._held.pop(token, None) or self._opening.pop(token, None)
        if over is not None and over.doubt is not None:
            self._owe(over)
        self._releasing[token] = lease
        try:
            if self._places is not None and token in self._places:
                await self._places.give_back(token)
            if not await self._locks.release(lease) and over is not None:
                self._owe(over)
        except (Refusal, asyncio.CancelledError) as error:
            self._unreleased.add(lease)
            if not isinstance(error, Refusal):
                raise
        finally:
            self._releasing.pop(token, None)

    async def keep_releasing(self) -> None:
        """Until cancelled, free what could not be freed when its session ended, soon after the store is back (G6)."""
        await self._unreleased.keep(self._locks)

    async def finish(self) -> None:
        """At the process's end: try for a moment to free what is still to be freed, also of who didn't come to an end.

        Nobody renews that any more, and what such a session has yet to remove is judged by its fence. What is owed may
        have been taken back just now.
        """
        owed, ended = self._owed.values(), (*self._held.values(), *self._opening.values())
        for lease in (*self._releasing.values(), *(each.lease for each in owed), *(each.lease for each in ended)):
            self._unreleased.add(lease)
        await self._unreleased.finish(self._locks)

    async def renew(self) -> None:
        """Extend all leases in one batch, and end the sessions that surely held one which is another's now.

        Raises Refusal(UNAVAILABLE) when the store of leases can't be asked; nothing is lost for that alone.
        """
        await self._unreleased.try_again(self._locks)
        held = self._held.copy()
        sure = {token: each.sure for token, each in held.items()} | dict.fromkeys(self._opening, False)
        if not sure:
            return
        leases = [each.lease for each in held.values()]
        try:
            renewal = await self._locks.renew([*leases, *(opening.lease for opening in self._opening.values())])
        except Refusal:
            # Whoever logs in now gets no lease either, so that none of ours proves anything any more.
            for token in sure:
                self._doubt(token, _Whose.UNKNOWN)
            raise
        self._renewed(sure, renewal)
        for token in held.keys() - _tokens([*renewal.lost, *renewal.regained, *renewal.unanswered]):
            held[token].found = True

    async def judge(self) -> None:
        """End those in doubt whose fence isn't the newest; the newest one gets the lease, whoever has it now.

        Raises Refusal(UNAVAILABLE) when either store can't be asked, or the fences were told too late to take a
        maildrop on their word; those who are left in doubt are judged at the next call.
        """
        doubtful = [(held, held.doubt) for held in self._held.values() if held.doubt is not None]
        owed = list(self._owed.values())
        if not doubtful and not owed:
            return
        clock = asyncio.get_running_loop().time
        asked = clock()
        fences = [(held.lease.key, held.fence) for held, _ in doubtful]
        newest = await self._index.newest([*fences, *((each.lease.key, each.fence) for each in owed)])
        to_seize = [held.lease for held, doubt in doubtful if self._judge_held(held, doubt, newest)]
        to_take = [each for each in owed if self._judge_owed(each, newest)]
        if (to_seize or to_take) and clock() - asked > FRESH:
            raise Refusal(Reason.UNAVAILABLE, f"the fences were told only after {clock() - asked:.1f} s")
        refused = await asyncio.gather(*map(self._seize, to_seize), *map(self._take_back, to_take))
        for refusal in filter(None, refused):
            raise refusal

    async def keep(self, every: float, report: Callable[[Refusal | None], None]) -> None:
        """Renew every `every` seconds until cancelled, and have those in doubt judged beside it, by one task at most.

        `report` hears in each round of the renewal's refusal, or the last judgement's, or None.
        """
        judging = SingleFlight(self.judge)
        try:
            while True:
                await asyncio.sleep(every)
                refusal = await _refusal_of(self.renew())
                judging.begin()
                report(refusal or judging.refusal)
        finally:
            await judging.close()

    def _owe(self, over: _Session) -> None:
        self._owed.pop(over.lease.key, None)
        self._owed[over.lease.key] = _Fenced(over.fence, over.lease)
        if len(self._owed) > OWED:
            del self._owed[next(iter(self._owed))]

    def _renewed(self, sure: Mapping[str, bool], renewal: Renewal) -> None:
        """Learn what a renewal found of these leases, of which each was sure or not when it was asked for."""
        lost, regained, unanswered = map(_tokens, (renewal.lost, renewal.regained, renewal.unanswered))
        for token, was_sure in sure.items():
            if token in lost and was_sure:
                self._lose(token)
            elif token in lost:
                # A doubt anew each time, so that no maildrop is taken on the word of fences from before.
                self._doubt(token, _Whose.ANOTHERS)
            elif token in regained:
                self._doubt(token, _Whose.OURS)
            elif token not in unanswered:
                self._extended(token)

    def _extended(self, token: str) -> None:
        """The lease is ours; that proves something from now on, and nothing of what was before."""
        one = self._held.get(token) or self._opening.get(token)
        if one is not None and one.doubt is not None and one.doubt.whose is not _Whose.OURS:
            one.doubt = _Doubt(_Whose.OURS)

    def _doubt(self, token: str, whose: _Whose) -> None:
        one = self._held.get(token) or self._opening.get(token)
        if one is not None:
            one.doubt = _Doubt(whose)

    def _lose(self, token: str) -> None:
        held = self._held.pop(token, None)
        if held is not None:
            held.on_lost()

    def _judge_held(self, held: _Session, doubt: _Doubt, newest: set[bytes]) -> bool:
        """End who isn't the newest, and be sure of who has its lease; whether another has the newest one's."""
        if held.fence not in newest:
            self._lose(held.lease.token)
        elif held.doubt is doubt and doubt.whose is _Whose.OURS:
            held.doubt = None
        return held.doubt is doubt and doubt.whose is _Whose.ANOTHERS and held.lease.token in self._held

    def _judge_owed(self, over: _Fenced, newest: set[bytes]) -> bool:
        """Forget one that is over where a newer one has told older sessions; whether these must still be told."""
        if over.fence not in newest:
            self._settle(over)
        return over.fence in newest

    def _settle(self, over: _Fenced) -> None:
        if self._owed.get(over.lease.key) is over:
            del self._owed[over.lease.key]

    async def _take_back(self, over: _Fenced) -> Refusal | None:
        """Have older sessions notice that a newer one, which is over, had the maildrop without its lease (G5).

        Nothing but the loss of their lease tells them: each renewal of it would go on to succeed.
        """
        try:
            if await self._locks.seize(over.lease):
                await self._locks.release(over.lease)
        except Refusal as refusal:
            return refusal
        self._settle(over)
        return None

    async def _seize(self, lease: Lease) -> Refusal | None:
        """Take the maildrop for its newest session, which is in doubt until the fences were told once more."""
        try:
            seized = await self._locks.seize(lease)
        except Refusal as refusal:
            return refusal
        if lease.token not in self._held:
            # The session ended meanwhile, and its release may have come first.
            await self.release(lease)
        elif seized:
            self._doubt(lease.token, _Whose.OURS)
        else:
            self._lose(lease.token)
        return None


def _tokens(leases: Iterable[Lease]) -> set[str]:
    return {lease.token for lease in leases}


async def _refusal_of(work: Awaitable[None]) -> Refusal | None:
    try:
        await work
    except Refusal as refusal:
        return refusal
    return None
