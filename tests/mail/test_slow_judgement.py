"""Leases beside a Postgres that tells the fences late or never: renewals go on, and nobody stays in doubt. F6; G4, G5.

RFC 1939 §4: the exclusive lock prevents "messages from being modified or removed before the session enters the UPDATE
state".
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from service.mail import leases
from service.mail.ports import LEASE_SECONDS, RENEW_EVERY, Lease, Renewal
from service.model.account import MaildropKey
from service.model.refusal import Reason, Refusal
from tests.mail.test_leases import Household, a_house

pytestmark = pytest.mark.asyncio
PATIENCE = 10.0


class Hanging:
    """Fences that are told only once they may be; what was asked meanwhile is refused while `away`."""

    def __init__(self, house: Household, patch: pytest.MonkeyPatch) -> None:
        self._told = house.index.newest
        self.asked = self.at_once = self.most_at_once = 0
        self.go_on = asyncio.Event()
        self.away = False
        patch.setattr(house.index, "newest", self)

    async def __call__(self, fences: Sequence[tuple[MaildropKey, bytes]]) -> set[bytes]:
        self.asked += 1
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        newest = await self._told(fences)
        try:
            await self.go_on.wait()
        finally:
            self.at_once -= 1
        if self.away:
            raise Refusal(Reason.UNAVAILABLE, "down")
        return newest


class Kept:
    """The leases as a process keeps them, by rounds that a test waits for."""

    def __init__(self, house: Household) -> None:
        self.house = house
        self.reports: asyncio.Queue[Refusal | None] = asyncio.Queue()

    async def round(self) -> Refusal | None:
        """The next round's report, of one that began after this was called."""
        while not self.reports.empty():
            self.reports.get_nowait()
        await self.reports.get()
        return await self.reports.get()

    @asynccontextmanager
    async def kept(self) -> AsyncIterator["Kept"]:
        async with asyncio.timeout(PATIENCE):
            task = asyncio.create_task(self.house.leases.keep(0.001, self.reports.put_nowait))
            try:
                yield self
            finally:
                task.cancel()
                await asyncio.wait({task})


async def in_doubt() -> Household:
    """A house with a session that could not have its lease."""
    house = await a_house()
    house.locks.away = True
    await house.session("in doubt")
    house.locks.away = False
    return house


async def test_g4_leases_are_renewed_on_time_though_the_fences_are_not_told_for_longer_than_a_lease(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    house = await in_doubt()
    fences = Hanging(house, monkeypatch)
    async with Kept(house).kept() as keeping:
        for _ in range(6):
            await keeping.round()
            await house.let_pass(RENEW_EVERY)
        assert fences.asked == 1
        with pytest.raises(Refusal) as refused:
            await house.session("other")
    assert refused.value.reason is Reason.IN_USE
    assert house.lost == []


async def test_g5_who_came_into_doubt_while_the_fences_were_asked_for_is_judged_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    house = await in_doubt()
    fences = Hanging(house, monkeypatch)
    async with Kept(house).kept() as keeping:
        await keeping.round()
        house.locks.forget()
        await keeping.round()
        house.provider.state.fences[house.key] = bytes(16)
        fences.go_on.set()
        while house.lost != ["in doubt"]:
            await keeping.round()
    assert fences.most_at_once == 1
    assert fences.asked > 1


async def test_g5_a_gap_after_the_fences_were_asked_for_is_not_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """The answer is from before the gap, in which another came and went."""
    house = await in_doubt()
    await house.leases.renew()
    fences = Hanging(house, monkeypatch)
    judging = asyncio.create_task(house.leases.judge())
    await asyncio.sleep(0)
    await house.let_pass(LEASE_SECONDS + 1)
    await house.update.close(await house.session("visitor"))
    await house.leases.renew()
    fences.go_on.set()
    await judging
    assert house.lost == []
    await house.renew()
    assert house.lost == ["in doubt"]


async def test_g4_a_lease_that_was_seized_while_a_renewal_was_under_way_is_not_taken_for_lost(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    house = await a_house()
    await house.session("older")
    house.locks.away = True
    await house.session("newest")
    house.locks.away = False
    await house.leases.renew()
    renew = house.locks.renew

    async def slowly(asked: Sequence[Lease]) -> Renewal:
        found = await renew(asked)
        await house.leases.judge()
        await house.leases.judge()
        return found

    with monkeypatch.context() as patch:
        patch.setattr(house.locks, "renew", slowly)
        await house.leases.renew()
    await house.renew()
    await house.renew()
    assert house.lost == ["older"]
    assert len(house.leases) == 1


async def test_nobody_s_maildrop_is_taken_on_the_word_of_fences_told_late(monkeypatch: pytest.MonkeyPatch) -> None:
    house = await a_house()
    await house.session("older")
    house.locks.away = True
    await house.session("newest")
    house.locks.away = False
    with monkeypatch.context() as patch:
        patch.setattr(leases, "FRESH", -1.0)
        with pytest.raises(Refusal) as refused:
            await house.renew()
        await house.leases.renew()
    assert refused.value.reason is Reason.UNAVAILABLE
    # Nothing but the loss of its lease would tell the older one, whose lease never had a gap.
    assert house.lost == []
    await house.renew()
    await house.renew()
    assert house.lost == ["older"]


async def test_refusals_of_either_store_are_reported_and_who_is_in_doubt_is_judged_once_it_is_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    house = await a_house()
    await house.session("older")
    house.locks.away = True
    await house.session("newest")
    fences = Hanging(house, monkeypatch)
    fences.go_on.set()
    fences.away = True
    async with Kept(house).kept() as keeping:
        assert str(await keeping.round()) == str(Refusal(Reason.UNAVAILABLE, "told to be away"))
        house.locks.away = False
        while (refusal := await keeping.round()) is None or refusal.cause != "down":
            pass
        assert house.lost == []
        fences.away = False
        while await keeping.round() is not None or house.lost != ["older"]:
            pass


async def test_the_end_of_a_process_breaks_a_judgement_off(monkeypatch: pytest.MonkeyPatch) -> None:
    house = await in_doubt()
    fences = Hanging(house, monkeypatch)
    async with Kept(house).kept() as keeping:
        await keeping.round()
        await keeping.round()
        assert fences.at_once == 1
    assert fences.at_once == 0


async def test_g5_a_lease_that_had_a_gap_while_its_login_went_on_proves_nothing() -> None:
    house = await a_house()
    held = await house.session("first")
    await house.update.close(held)
    assert await house.locks.acquire(held.lease)
    house.leases.opening(held.lease, held.fence, guarded=True)
    await house.let_pass(LEASE_SECONDS + 1)
    await house.update.close(await house.session("visitor"))
    await house.leases.renew()
    house.leases.hold(held, lambda: house.lost.append("held"))
    await house.renew()
    assert house.lost == ["held"]
