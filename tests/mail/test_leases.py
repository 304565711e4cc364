"""What a lease proves, and who goes on when it proves nothing: the session with the newest fence. F2-F4; G4-G6.

RFC 1939 §4: the exclusive lock prevents "messages from being modified or removed before the session enters the UPDATE
state".
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from service.mail.maildrop import OpenMaildrop
from service.mail.ports import LEASE_SECONDS, Clock, Lease, Renewal
from service.model.account import MaildropKey
from service.model.listing import DropListing
from service.model.refusal import Reason, Refusal
from service.stores.memory.locks import MemoryMaildropLocks
from tests.mail.house import House

pytestmark = pytest.mark.asyncio


class Severable(MemoryMaildropLocks):
    """Leases that can't be reached while `away`, and a part of them while `unanswering`."""

    away = False
    unanswering: Sequence[Lease] = ()
    before_seizing: Callable[[], Awaitable[None]] | None = None
    after_seizing: Callable[[], Awaitable[None]] | None = None
    before_releasing: Callable[[], Awaitable[None]] | None = None
    after_acquiring: Callable[[], Awaitable[None]] | None = None
    after_renewing: Callable[[], Awaitable[None]] | None = None

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self.released = asyncio.Event()
        self.released_in_vain = asyncio.Event()

    def forget(self) -> None:
        """As Redis does that lost its data (F4)."""
        self._held.clear()

    async def _once(self, name: str) -> None:
        then = getattr(self, name)
        setattr(self, name, None)
        if then is not None:
            await then()

    def _check(self) -> None:
        if self.away:
            raise Refusal(Reason.UNAVAILABLE, "told to be away")

    async def acquire(self, lease: Lease) -> bool:
        self._check()
        free = await super().acquire(lease)
        await self._once("after_acquiring")
        return free

    async def release(self, lease: Lease) -> bool:
        if self.before_releasing is not None:
            await self.before_releasing()
        if self.away:
            self.released_in_vain.set()
        self._check()
        self.released.set()
        return await super().release(lease)

    async def renew(self, leases: Sequence[Lease]) -> Renewal:
        self._check()
        asked = [lease for lease in leases if lease not in self.unanswering]
        found = await super().renew(asked)
        await self._once("after_renewing")
        return Renewal(found.lost, found.regained, self.unanswering)

    async def seize(self, lease: Lease) -> bool:
        self._check()
        if self.before_seizing is not None:
            await self.before_seizing()
        seized = await super().seize(lease)
        await self._once("after_seizing")
        return seized


@dataclass
class Household(House):
    """A house whose leases can be out of reach; `lost` names the sessions that were told so."""

    lost: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.locks: Severable = Severable(self.clock)
        self.leases._locks = self.locks
        object.__setattr__(self.login, "locks", self.locks)

    async def session(self, name: str) -> OpenMaildrop:
        return await self.open(on_lost=lambda: self.lost.append(name))

    async def let_pass(self, seconds: float) -> None:
        self.clock.seconds += seconds
        self.clock.move(seconds=seconds)

    async def removes(self, held: OpenMaildrop) -> bool:
        """Whether a QUIT of this session removes message 1."""
        try:
            await self.update(held, [1])
        except Refusal as refusal:
            return refusal.reason is not Reason.LOST
        return True


async def a_house() -> Household:
    house = Household()
    await house.furnish(b"A: b\r\n\r\n")
    return house


async def test_g4_the_newest_session_gets_the_lease_that_an_older_one_kept_through_an_outage() -> None:
    house = await a_house()
    older = await house.session("older")
    house.locks.away = True
    newest = await house.session("newest")
    assert not newest.guarded
    house.locks.away = False
    await house.renew()
    await house.renew()
    assert house.lost == ["older"]
    assert [holder.since for holder in await house.locks.holders()] == [newest.lease.holder.since]
    assert not await house.removes(older)
    assert await house.removes(newest)


async def test_g4_of_two_sessions_without_a_lease_the_newest_gets_it() -> None:
    house = await a_house()
    house.locks.away = True
    older, newest = await house.session("older"), await house.session("newest")
    house.locks.away = False
    await house.renew()
    await house.renew()
    assert house.lost == ["older"]
    assert not await house.removes(older)
    assert await house.removes(newest)


def another_comes_between_lease_and_fence(house: Household) -> list[OpenMaildrop]:
    """Of the next login, as the leases are forgotten just then; the list gets that other session."""
    came: list[OpenMaildrop] = []

    async def another_comes() -> None:
        house.locks.forget()
        came.append(await house.session("older"))

    house.locks.after_acquiring = another_comes
    return came


async def test_f4_g4_who_lost_its_lease_before_its_fence_was_written_goes_on_as_the_newest() -> None:
    house = await a_house()
    older = another_comes_between_lease_and_fence(house)
    newest = await house.session("newest")
    for _ in range(3):
        await house.renew()
    assert house.lost == ["older"]
    assert not await house.removes(older[0])
    assert await house.removes(newest)


async def test_f4_g5_the_older_one_is_told_though_the_newest_is_over_before_any_renewal() -> None:
    house = await a_house()
    older = another_comes_between_lease_and_fence(house)
    assert await house.removes(await house.session("newest"))
    assert house.lost == []
    for _ in range(2):
        await house.renew()
    assert house.lost == ["older"]
    assert not await house.removes(older[0])


async def test_f4_g4_a_renewal_that_was_asked_for_before_the_fence_was_written_proves_nothing_of_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    house = await a_house()
    opened, asked, answered = house.index.open, asyncio.Event(), asyncio.Event()
    sessions: list[OpenMaildrop] = []

    async def renewed_meanwhile(*arguments: Any) -> DropListing:
        if not asked.is_set():
            asked.set()
            await answered.wait()
        return await opened(*arguments)

    async def another_comes_and_the_fence_is_written() -> None:
        house.locks.forget()
        sessions.append(await house.session("older"))
        answered.set()
        sessions.append(await opening)

    monkeypatch.setattr(house.index, "open", renewed_meanwhile)
    opening = asyncio.ensure_future(house.session("newest"))
    await asked.wait()
    house.locks.after_renewing = another_comes_and_the_fence_is_written
    for _ in range(3):
        await house.renew()
    older, newest = sessions
    assert house.lost == ["older"]
    assert not await house.removes(older)
    assert await house.removes(newest)


async def test_g5_who_paused_while_another_came_and_went_is_told_and_blocks_nobody() -> None:
    house = await a_house()
    paused = await house.session("paused")
    await house.let_pass(LEASE_SECONDS + 1)
    await house.update.close(await house.session("visitor"))
    await house.renew()
    assert house.lost == ["paused"]
    await house.update.close(paused)
    await house.session("next")


async def test_g5_who_paused_while_nobody_came_goes_on_and_is_asked_no_more() -> None:
    house = await a_house()
    paused = await house.session("paused")
    await house.let_pass(LEASE_SECONDS + 1)
    await house.renew()
    house.provider.state.fences[house.key] = bytes(16)
    await house.renew()
    assert house.lost == []
    assert len(house.leases) == 1
    await house.update.close(paused)


async def test_g5_while_the_leases_are_away_the_fences_tell_who_was_replaced() -> None:
    house = await a_house()
    await house.session("older")
    house.locks.away = True
    newest = await house.session("newest")
    with pytest.raises(Refusal):
        await house.renew()
    assert house.lost == ["older"]
    house.locks.away = False
    await house.renew()
    assert house.lost == ["older"]
    assert await house.removes(newest)


async def test_f9_nothing_is_lost_while_neither_leases_nor_fences_can_be_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    house = await a_house()
    await house.session("older")
    house.locks.away = True
    newest = await house.session("newest")

    async def away(fences: Sequence[tuple[MaildropKey, bytes]]) -> set[bytes]:
        raise Refusal(Reason.UNAVAILABLE, "down")

    with monkeypatch.context() as patch:
        patch.setattr(house.index, "newest", away)
        for house.locks.away in (True, False):
            with pytest.raises(Refusal):
                await house.renew()
        assert house.lost == []
    await house.renew()
    assert house.lost == ["older"]
    assert await house.removes(newest)


async def test_a_lease_that_could_not_be_asked_for_stays_in_doubt() -> None:
    house = await a_house()
    house.locks.away = True
    held = await house.session("only")
    house.locks.away = False
    house.locks.unanswering = [held.lease]
    await house.renew()
    house.locks.unanswering = ()
    house.provider.state.fences[house.key] = bytes(16)
    await house.renew()
    assert house.lost == ["only"]


async def test_who_was_evicted_is_not_given_the_lease_back() -> None:
    house = await a_house()
    await house.session("older")
    house.locks.away = True
    await house.session("newest")
    house.locks.away = False
    await house.locks.evict(house.key)
    await house.renew()
    assert sorted(house.lost) == ["newest", "older"]
    assert len(house.leases) == 0


async def test_g6_a_session_that_ends_while_its_lease_is_seized_leaves_the_maildrop_free() -> None:
    house = await a_house()
    older = await house.session("older")
    house.locks.away = True
    newest = await house.session("newest")
    house.locks.away = False
    house.locks.before_seizing = lambda: house.update.close(newest)
    await house.renew()
    assert await house.locks.holders() == []
    await house.renew()
    assert house.lost == ["older"]
    await house.update.close(older)
    assert await house.locks.holders() == []


async def test_g5_who_was_overtaken_by_a_session_without_a_lease_that_is_over_is_told() -> None:
    """Found by simulation: one command of Redis failed, and the older session never heard of the newer one."""
    house = await a_house()
    older = await house.session("older")
    house.locks.away = True
    newer = await house.session("newer")
    house.locks.away = False
    await house.update.close(newer)
    await house.renew()
    await house.renew()
    assert house.lost == ["older"]
    assert not await house.removes(older)
    assert await house.session("next")


async def test_g5_who_was_overtaken_by_a_login_that_came_to_nothing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """It wrote its fence without a lease, and only then was refused: the answer was lost."""
    house = await a_house()
    older = await house.session("older")
    opened = house.index.open

    async def lost(*arguments: Any) -> None:
        await opened(*arguments)
        raise Refusal(Reason.UNAVAILABLE, "the answer was lost")

    house.locks.away = True
    with monkeypatch.context() as patch:
        patch.setattr(house.index, "open", lost)
        with pytest.raises(Refusal):
            await house.session("newer")
    house.locks.away = False
    await house.renew()
    await house.renew()
    assert house.lost == ["older"]
    assert not await house.removes(older)
    assert (await house.session("next")).guarded


async def test_an_older_session_is_told_once_the_leases_can_be_reached() -> None:
    house = await a_house()
    await house.session("older")
    house.locks.away = True
    await house.update.close(await house.session("newer"))
    with pytest.raises(Refusal):
        await house.renew()
    house.locks.away = False
    await house.renew()
    await house.renew()
    assert house.lost == ["older"]


async def test_a_session_that_is_over_takes_the_maildrop_from_no_newer_one() -> None:
    house = await a_house()
    house.locks.away = True
    overtaken = await house.session("overtaken")
    house.locks.away = False
    newest = await house.session("newest")
    await house.update.close(overtaken)
    for _ in range(3):
        await house.renew()
    assert house.lost == []
    assert await house.removes(newest)


async def test_sessions_that_are_over_are_remembered_within_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """G15."""
    monkeypatch.setattr("service.mail.leases.OWED", 0)
    house = await a_house()
    house.locks.away = True
    await house.update.close(await house.session("one"))
    assert not house.leases._owed


async def test_g4_a_lease_is_renewed_while_its_login_waits_for_the_index() -> None:
    house = await a_house()
    held = await house.session("slow")
    await house.update.close(held)
    lease = held.lease._replace(token="of a login that waits")
    assert await house.locks.acquire(lease)
    house.leases.opening(lease, bytes(16), guarded=True)
    for _ in range(3):
        await house.let_pass(LEASE_SECONDS * 0.7)
        await house.renew()
    with pytest.raises(Refusal) as refused:
        await house.session("other")
    assert refused.value.reason is Reason.IN_USE
    await house.leases.release(lease)
    assert (await house.session("other")).guarded


async def asked_again(house: Household, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether another judgement asks for the fences, as it does while a lease is in doubt."""
    asked: list[object] = []
    newest = house.index.newest

    async def counted(fences: Sequence[tuple[MaildropKey, bytes]]) -> set[bytes]:
        asked.append(fences)
        return await newest(fences)

    with monkeypatch.context() as patch:
        patch.setattr(house.index, "newest", counted)
        await house.leases.judge()
    return bool(asked)


async def a_doubt(house: Household) -> OpenMaildrop:
    """A session whose lease one renewal could not ask for."""
    held = await house.session("only")
    house.locks.away = True
    with pytest.raises(Refusal):
        await house.leases.renew()
    house.locks.away = False
    return held


async def test_a_renewal_that_left_a_lease_unanswered_ends_no_doubt(monkeypatch: pytest.MonkeyPatch) -> None:
    house = await a_house()
    held = await a_doubt(house)
    house.locks.unanswering = [held.lease]
    await house.renew()
    assert await asked_again(house, monkeypatch)
    assert house.lost == []


async def test_a_renewal_that_found_the_lease_ends_the_doubt_of_the_newest(monkeypatch: pytest.MonkeyPatch) -> None:
    house = await a_house()
    held = await a_doubt(house)
    assert await asked_again(house, monkeypatch)
    await house.renew()
    assert not await asked_again(house, monkeypatch)
    assert house.lost == []
    assert await house.removes(held)
