"""Sessions at once and octets a day, over the in-memory stores. RFC 2449 §6.5 (LOGIN-DELAY), RFC 3206 §4."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial

import pytest

from service.mail import allowances as allowances_module
from service.mail.allowances import Circle, DailyOctets, Places, network_of
from service.mail.leases import Leases
from service.mail.login import Attempt
from service.mail.maildrop import OpenMaildrop
from service.mail.ports import LEASE_SECONDS
from service.model.account import MaildropKey
from service.model.policy import Policy
from service.model.proof import Password
from service.model.refusal import Reason, Refusal
from service.stores.memory.allowances import MemoryAllowances
from service.stores.memory.state import CredentialRow
from tests.mail.house import ADDRESS, SECRET, House
from tests.mail.provider import SetClock

TWIN = "twin@example.org"


class Away:
    """Counters that nobody can reach."""

    async def enter(self, circle: Circle, token: str) -> bool:
        raise Refusal(Reason.UNAVAILABLE)

    async def stay(self, circle: str, tokens: Sequence[str]) -> None:
        raise Refusal(Reason.UNAVAILABLE)

    async def leave(self, circle: str, token: str) -> None:
        raise Refusal(Reason.UNAVAILABLE)

    async def spend(self, key: MaildropKey, octets: int, limit: int) -> float:
        raise Refusal(Reason.UNAVAILABLE)


async def two_maildrops(allowances: object | None = None, **policy: int) -> tuple[House, Places]:
    """A house whose tenant has two maildrops and a policy."""
    house = await House().furnish()
    key = house.provider.add(TWIN)
    house.provider.state.credentials.append(CredentialRow(key, key.maildrop_id, await house.hashes.hash(SECRET)))
    places = Places(allowances or MemoryAllowances(house.clock))  # type: ignore[arg-type]
    house.leases = Leases(house.locks, house.index, places)
    house.update = replace(house.update, leases=house.leases)
    house.login = replace(house.login, leases=house.leases)
    for tenant in house.provider.state.tenants.values():
        tenant.policy.update(policy)
    return house, places


async def enter(house: House, address: str = ADDRESS, client: str = "192.0.2.1") -> OpenMaildrop:
    return await house.login(Attempt(Password(address, SECRET), "PLAIN", "s", client), lambda: None)


async def refused(house: House, address: str, client: str = "192.0.2.1") -> Refusal:
    with pytest.raises(Refusal) as told:
        await enter(house, address, client)
    return told.value


async def test_a_tenants_sessions_are_limited_and_a_refused_one_holds_nothing() -> None:
    house, places = await two_maildrops(sessions_per_tenant=1)
    held = await enter(house)
    refusal = await refused(house, TWIN)
    assert refusal.reason is Reason.TOO_MANY_SESSIONS
    assert len(places) == 1
    assert [holder.address for holder in await house.locks.holders()] == [ADDRESS]
    await house.update.close(held)
    await enter(house, TWIN)


async def test_the_sessions_of_one_address_are_limited_and_others_come_in() -> None:
    house, _ = await two_maildrops(sessions_per_address=1)
    await enter(house, client="2001:db8::1")
    assert (await refused(house, TWIN, "2001:db8::2")).reason is Reason.TOO_MANY_SESSIONS
    await enter(house, TWIN, "2001:db8:0:1::2")


async def test_a_session_that_is_full_for_one_limit_is_counted_for_none() -> None:
    house, _ = await two_maildrops(sessions_per_tenant=1, sessions_per_address=5)
    held = await enter(house, client="192.0.2.1")
    await refused(house, TWIN, "192.0.2.9")
    await house.update.close(held)
    for client in ("192.0.2.9", "192.0.2.1"):
        await house.update.close(await enter(house, TWIN, client))


async def test_a_wrong_password_is_counted_nowhere() -> None:
    house, places = await two_maildrops(sessions_per_tenant=1)
    with pytest.raises(Refusal):
        await house.open("wrong")
    assert len(places) == 0
    await enter(house)


async def test_renewal_keeps_long_sessions_counted() -> None:
    house, places = await two_maildrops(sessions_per_tenant=1)
    await enter(house)
    for _ in range(3):
        house.clock.move(seconds=LEASE_SECONDS * 0.7)
        house.clock.seconds += LEASE_SECONDS * 0.7
        await house.leases.renew()
        await places.renew()
    assert (await refused(house, TWIN)).reason is Reason.TOO_MANY_SESSIONS


class Meanwhile(MemoryAllowances):
    """Something happens between a renewal's beginning and what it does; then it may be refused."""

    then: Callable[[], Awaitable[None]]
    refuses = False

    async def stay(self, circle: str, tokens: Sequence[str]) -> None:
        await self.then()
        await super().stay(circle, tokens)
        if self.refuses:
            raise Refusal(Reason.UNAVAILABLE)


@pytest.mark.parametrize("refuses", [False, True])
async def test_a_session_that_ends_during_a_renewal_is_not_counted_by_it(refuses: bool) -> None:
    allowances = Meanwhile(SetClock())
    house, places = await two_maildrops(allowances, sessions_per_tenant=1, sessions_per_address=1)
    held = await enter(house)
    allowances.then, allowances.refuses = partial(house.update.close, held), refuses
    with suppress(Refusal):
        await places.renew()
    assert len(places) == 0
    await enter(house, TWIN)


class Severable(MemoryAllowances):
    """Counters that can't be reached while `away`; nobody is heard while `silent`."""

    away = silent = False

    def __init__(self) -> None:
        super().__init__(SetClock())
        self.tried, self.left = asyncio.Event(), asyncio.Event()

    async def leave(self, circle: str, token: str) -> None:
        self.tried.set()
        if self.silent:
            await asyncio.Event().wait()
        if self.away:
            raise Refusal(Reason.UNAVAILABLE)
        await super().leave(circle, token)
        self.left.set()


async def given_back(allowances: Severable, places: Places) -> None:
    """The counters can be reached again, and what is left is given back."""
    allowances.away = allowances.silent = False
    allowances.left.clear()
    giving_back = asyncio.create_task(places.keep_giving_back())
    await allowances.left.wait()
    giving_back.cancel()


async def test_f3_a_session_that_ended_while_the_counters_were_away_is_counted_only_until_they_are_back() -> None:
    house, places = await two_maildrops(allowances := Severable(), sessions_per_tenant=1)
    held = await enter(house)
    allowances.away = True
    await house.update.close(held)
    await places.renew()
    allowances.tried.clear()
    giving_back = asyncio.create_task(places.keep_giving_back())
    await allowances.tried.wait()
    giving_back.cancel()
    assert (await refused(house, TWIN)).reason is Reason.TOO_MANY_SESSIONS
    await given_back(allowances, places)
    await enter(house, TWIN)
    assert len(places._left) == 0


async def test_a_session_that_is_cancelled_while_it_gives_back_its_place_is_counted_no_longer() -> None:
    house, places = await two_maildrops(allowances := Severable(), sessions_per_tenant=1)
    held = await enter(house)
    allowances.silent = True
    allowances.tried.clear()
    ending = asyncio.ensure_future(house.update.close(held))
    await allowances.tried.wait()
    ending.cancel()
    await asyncio.wait({ending})
    await given_back(allowances, places)
    await enter(house, TWIN)


class Stuck(Severable):
    """Counters of which those of one session can't be reached."""

    token: str | None = None

    async def leave(self, circle: str, token: str) -> None:
        if token == self.token:
            raise Refusal(Reason.UNAVAILABLE)
        await super().leave(circle, token)


async def test_f3_a_part_of_the_counters_that_stays_away_keeps_no_other_session_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(allowances_module, "PAUSE", 0)
    house, places = await two_maildrops(allowances := Stuck(), sessions_per_tenant=2)
    both = [await enter(house), await enter(house, TWIN)]
    allowances.away = True
    for held in both:
        await house.update.close(held)
    allowances.token = next(iter(places._left))
    await asyncio.wait_for(given_back(allowances, places), 5)
    assert list(places._left) == [allowances.token]


async def test_of_more_sessions_than_are_kept_the_first_are_left_to_their_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(allowances_module, "MOST", 2)
    house, places = await two_maildrops(allowances := Severable(), sessions_per_tenant=9)
    for _ in range(4):
        allowances.away = False
        held = await enter(house)
        allowances.away = True
        await house.update.close(held)
    assert len(places._left) == 2


async def test_f3_while_the_counters_are_away_nobody_is_refused() -> None:
    house, places = await two_maildrops(Away(), sessions_per_tenant=1)
    await house.update.close(await enter(house))
    await enter(house)
    await enter(house, TWIN)
    with pytest.raises(Refusal):
        await places.renew()
    await DailyOctets(Away(), house.key, Policy(octets_per_day=1)).admit()


async def test_the_last_message_may_go_over_the_day_and_the_next_one_is_told_when_to_come_back() -> None:
    house = await House().furnish()
    allowances = MemoryAllowances(house.clock)
    day = DailyOctets(allowances, house.key, Policy(octets_per_day=100))
    await day.admit()
    day.sent(99)
    await day.admit()
    day.sent(1000)
    with pytest.raises(Refusal) as told:
        await day.admit()
    assert told.value.reason is Reason.DAY_USED_UP
    assert told.value.wait == 86_400


async def test_what_a_session_sent_last_counts_for_the_next_one() -> None:
    house = await House().furnish()
    allowances = MemoryAllowances(house.clock)
    policy = Policy(octets_per_day=100)
    last = DailyOctets(allowances, house.key, policy)
    await last.admit()
    last.sent(100)
    await last.close()
    with pytest.raises(Refusal):
        await DailyOctets(allowances, house.key, policy).admit()


async def test_without_a_limit_nothing_is_counted() -> None:
    house = await House().furnish()
    day = DailyOctets(Away(), house.key, Policy())
    await day.admit()
    day.sent(1)
    await day.close()


@pytest.mark.parametrize(
    ("client", "network"),
    [("192.0.2.1", "192.0.2.1"), ("2001:db8::1", "2001:db8::"), ("fe80::1%eth0", "fe80::")],
)
def test_one_household_counts_as_one_address(client: str, network: str) -> None:
    assert network_of(client) == network


async def test_outlooks_two_quick_logins_are_forgiven_and_a_third_is_not() -> None:
    house = await House().furnish()
    house.provider.state.maildrops[house.key].policy["login_delay"] = 60
    for _ in range(2):
        await house.update.close(await house.open())
    with pytest.raises(Refusal) as told:
        await house.open()
    assert told.value.reason is Reason.LOGIN_DELAY
    house.clock.move(seconds=61)
    house.clock.seconds += 61
    await house.update.close(await house.open())
    with pytest.raises(Refusal):
        await house.open()
