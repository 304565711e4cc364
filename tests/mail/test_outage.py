"""What a front end remembers of logins, and when it lets somebody read on. RFC 3206 §4; G2, G4, G11, G13, G14, G15."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from service.mail.attempts import Charge
from service.mail.counting import Rules
from service.mail.guard import Guard
from service.mail.leases import Leases
from service.mail.login import Attempt, Login
from service.mail.maildrop import OpenMaildrop
from service.mail.outage import Bounds, Memory, OutageDirectory, Reading
from service.mail.update import Update
from service.model.account import Account, MaildropKey, Recipient
from service.model.address import Address
from service.model.attempts import Kind, Limit, Subject
from service.model.message import StoredMessage
from service.model.policy import Announced
from service.model.proof import Password
from service.model.refusal import Reason, Refusal
from service.model.why import Why
from service.stores.memory.attempts import MemoryAttempts
from service.stores.memory.showings import MemoryShowings
from service.stores.memory.state import CredentialRow
from tests.mail.house import ADDRESS, SECRET, House

pytestmark = pytest.mark.asyncio

TEXT = b"A: b\r\n\r\nhello\r\n"
AWAY = Refusal(Reason.UNAVAILABLE, "postgres: down")


class Outages:
    """A house whose directory and index can go away, and two front ends in it that share its leases."""

    def __init__(self, house: House, bounds: Bounds | None = None) -> None:
        self.house = house
        self.down = False
        self.located = 0
        self.showings = MemoryShowings(house.clock)
        self.bounds = bounds or Bounds()
        self.first, self.second = self._front(), self._front()

    def _front(self) -> "Front":
        return Front(self)

    @contextmanager
    def outage(self) -> Iterator[None]:
        self.down = True
        try:
            yield
        finally:
            self.down = False

    def check(self) -> None:
        if self.down:
            raise AWAY

    async def find(self, name: str) -> Account | None:
        self.check()
        return await self.house.provider.directory.find(name)

    async def resolve(self, address: Address) -> Recipient:
        self.check()
        return await self.house.provider.directory.resolve(address)

    async def announced(self) -> Announced:
        self.check()
        return await self.house.provider.directory.announced()

    async def locate(self, key: MaildropKey, sequences: Sequence[int]) -> Mapping[int, StoredMessage]:
        self.check()
        self.located += 1
        return await self.house.index.locate(key, sequences)


class Front:
    def __init__(self, around: Outages) -> None:
        house = around.house
        self.around = around
        self.told: list[str] = []
        self.spent = 0
        self.memory = Memory(house.clock, around, around.bounds)  # type: ignore[arg-type]
        self.reading = Reading(self.memory, around.showings, 600.0, self.told.append)
        self.login: Login = replace(
            house.login, directory=OutageDirectory(around, self.memory, self.spend), reading=self.reading
        )
        self.update = Update(house.index, house.leases, self.memory.forget)

    async def spend(self) -> None:
        self.spent += 1

    async def open(self, secret: str = SECRET, name: str = ADDRESS) -> OpenMaildrop:
        return await self.login(Attempt(Password(name, secret), "USER", "s", "192.0.2.1"), lambda: None)

    async def session(self, *removed: int) -> None:
        """One that loads its listing and ends, and is remembered by then."""
        held = await self.open()
        self.reading.listed(held, await self.around.house.index.listing(held.key, held.drop))
        await self.memory.settled()
        await self.update(held, removed)

    async def refused(self, secret: str = SECRET, name: str = ADDRESS) -> str:
        with pytest.raises(Refusal) as refused:
            await self.open(secret, name)
        assert refused.value.reason is Reason.UNAVAILABLE
        return refused.value.cause


async def outages(bounds: Bounds | None = None, *texts: bytes) -> Outages:
    return Outages(await House().furnish(*(texts or (TEXT, TEXT))), bounds)


async def test_a_session_that_read_its_listing_can_be_repeated_while_postgres_is_away() -> None:
    around = await outages()
    await around.first.session()
    with around.outage():
        held = await around.first.open(name="User@Example.org")
        assert held.kept is not None
        assert held.drop.messages == 2
        assert len(await held.kept.listing(held.key, held.drop)) == 2
        assert set(await held.kept.locate(held.key, [1, 2])) == {1, 2}
        await around.first.update(held, ())
    assert around.first.told == ["opened"]


async def test_g4_it_holds_the_lease_and_needs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    around = await outages()
    await around.first.session()
    with around.outage():
        held = await around.first.open()
        with pytest.raises(Refusal) as refused:
            await around.first.open()
        assert refused.value.reason is Reason.IN_USE
        await around.first.update.close(held)

        async def gone(*_: object) -> bool:
            raise AWAY

        monkeypatch.setattr(around.house.locks, "acquire", gone)
        await around.first.refused()


async def test_g2_it_has_no_fence_so_that_nothing_it_says_removes_a_message() -> None:
    around = await outages()
    await around.first.session()
    with around.outage():
        held = await around.first.open()
    with pytest.raises(Refusal) as refused:
        await around.first.update(held, [1])
    assert refused.value.reason is Reason.LOST
    assert (await around.house.open()).drop.messages == 2


async def test_g14_whatever_another_front_end_showed_since_makes_it_stale() -> None:
    around = await outages()
    await around.first.session()
    await around.house.update.close(await around.second.open())
    with around.outage():
        assert "shown last" in await around.first.refused()
        await around.second.refused()
    assert around.first.told == ["stale"]


async def test_g14_a_listing_that_was_never_loaded_is_not_reopened() -> None:
    around = await outages()
    await around.first.update.close(await around.first.open())
    with around.outage():
        await around.first.refused()


async def test_a_listing_stays_while_the_counters_do_and_goes_with_them() -> None:
    around = await outages()
    await around.first.session()
    await around.first.update.close(await around.first.open())
    with around.outage():
        await around.first.update.close(await around.first.open())
    await around.house.deliver(TEXT)
    await around.first.update.close(await around.first.open())
    with around.outage():
        await around.first.refused()
    assert around.located == 1


async def test_g14_a_removal_is_forgotten_before_it_is_made() -> None:
    around = await outages()
    await around.first.session(1)
    assert len(around.first.memory) == 0
    with around.outage():
        await around.first.refused()


async def test_g14_a_session_that_saw_the_last_days_alone_is_not_taken_for_the_whole() -> None:
    house = await House().furnish(TEXT)
    house.clock.moment = datetime.now(UTC)
    await house.deliver(TEXT)
    around = Outages(house)
    await around.first.session()
    with around.outage():
        await around.first.refused(name=f"recent:{ADDRESS}")
        await around.first.update.close(await around.first.open())
    held = await around.first.open(name=f"recent:{ADDRESS}")
    assert held.drop.messages == 1
    around.first.reading.listed(held, await around.house.index.listing(held.key, held.drop))
    await around.first.memory.settled()
    await around.first.update.close(held)
    with around.outage():
        await around.first.refused()
        await around.first.refused(name=f"recent:{ADDRESS}")


async def test_g14_an_empty_maildrop_is_not_remembered() -> None:
    around = Outages(await House().furnish())
    await around.first.session()
    with around.outage():
        await around.first.refused()


async def test_g11_it_lasts_no_longer_than_its_time_and_an_outage_does_not_lengthen_it() -> None:
    around = await outages(Bounds(seconds=60))
    await around.first.session()
    with around.outage():
        around.house.clock.seconds += 59
        await around.first.update.close(await around.first.open())
        around.house.clock.seconds += 2
        await around.first.refused()
    assert len(around.first.memory) == 0


async def test_g13_g14_a_wrong_password_proves_nothing_and_costs_what_a_stranger_s_does() -> None:
    around = await outages()
    await around.first.session()
    with around.outage():
        assert "no credential matches" in await around.first.refused("wrong")
        assert await around.first.refused("wrong", "nobody@example.org") == AWAY.cause
        assert around.first.spent == 1
        await around.first.update.close(await around.first.open())


async def test_g13_whoever_is_held_back_for_wrong_passwords_can_t_tell_who_is_remembered() -> None:
    around = await outages()
    front, waited = around.first, list[float]()
    await front.session()

    async def pause(seconds: float) -> None:
        waited.append(seconds)

    attempts = MemoryAttempts(around.house.clock)
    front.login = replace(front.login, guard=Guard(attempts, Rules({Kind.ADDRESS: Limit(2, 4)}), pause=pause))
    await attempts.count([Charge(Subject(Kind.ADDRESS, "192.0.2.1"), 4, 8)])
    with around.outage():
        assert await front.refused(SECRET, "nobody@example.org") == AWAY.cause
        assert "as remembered" in await front.refused(SECRET)
        assert waited == []
    with pytest.raises(Refusal) as refused:
        await front.open()
    assert (refused.value.why, waited) == (Why.BLOCKED, [8.0])


async def test_nobody_guesses_at_what_is_remembered() -> None:
    around = await outages()
    await around.first.session()
    with around.outage():
        for guess in ("one", "two", "three"):
            await around.first.refused(guess)
        assert await around.first.refused() == AWAY.cause


async def test_only_the_credential_that_opened_it_opens_it_again() -> None:
    around = await outages()
    state = around.house.provider.state
    second = replace_credential(state.credentials[0], await around.house.hashes.hash("second"))
    state.credentials.append(second)
    await around.first.session()
    with around.outage():
        await around.first.refused("second")


def replace_credential(row: CredentialRow, verifier: str) -> CredentialRow:
    return CredentialRow(row.key, type(row.credential_id)(int=7), verifier)


async def test_g15_what_is_too_large_is_not_remembered_and_the_oldest_make_room() -> None:
    around = await outages(Bounds(messages=1))
    await around.first.session()
    with around.outage():
        await around.first.refused()
    small = await outages(Bounds(octets=5000))
    other = small.house.provider.add("other@example.org")
    small.house.provider.state.credentials.append(
        CredentialRow(
            other, MaildropKey(other.tenant_id, other.tenant_id).maildrop_id, await small.house.hashes.hash("x")
        )
    )
    await small.first.session()
    assert 0 < small.first.memory.octets <= 5000
    await small.first.update.close(await small.first.open("x", "other@example.org"))
    assert len(small.first.memory) == 1
    with small.outage():
        await small.first.refused()


async def test_a_note_that_cannot_be_made_remembers_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    around = await outages()
    await around.first.session()

    async def gone(*_: object) -> None:
        raise AWAY

    with monkeypatch.context() as patch:
        patch.setattr(around.showings, "note", gone)
        await around.first.session()
    with around.outage():
        await around.first.refused()
    await around.first.session()
    monkeypatch.setattr(around.showings, "last", gone)
    with around.outage():
        await around.first.refused()


async def test_only_an_outage_of_postgres_is_read_through(monkeypatch: pytest.MonkeyPatch) -> None:
    around = await outages()
    await around.first.session()

    async def full(*_: object) -> bool:
        raise Refusal(Reason.OVERLOADED, "queue full")

    monkeypatch.setattr(around.house.hashes, "verify", full)
    monkeypatch.setattr(around.house.verdicts, "recall", lambda *_: None)
    with pytest.raises(Refusal) as refused:
        await around.first.open()
    assert refused.value.reason is Reason.OVERLOADED


async def test_a_remembered_session_s_lease_is_renewed_like_any_other() -> None:
    around = await outages()
    await around.first.session()
    lost: list[bool] = []
    with around.outage():
        attempt = Attempt(Password(ADDRESS, SECRET), "USER", "s", "192.0.2.1")
        await around.first.login(attempt, lambda: lost.append(True))
        leases: Leases = around.house.leases
        await leases.renew()
        assert not lost
        await around.house.locks.evict(around.house.key)
        await leases.renew()
    assert lost == [True]
