"""A login like the last one takes one statement, and nothing that changed since escapes it. G4, G11, G13, G14.

RFC 1939 §4: a lock that was acquired for a login which is refused is released first.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest

from service.mail.again import Again
from service.mail.allowances import Circle, Places
from service.mail.guard import Guard
from service.mail.login import Attempt
from service.mail.maildrop import OpenMaildrop
from service.mail.ports import Lease
from service.model.account import Account
from service.model.attempts import Kind
from service.model.listing import DropListing
from service.model.proof import Password
from service.model.refusal import Reason, Refusal
from service.stores.memory.allowances import MemoryAllowances
from service.stores.memory.attempts import MemoryAttempts
from service.stores.memory.entrance import MemoryEntrance
from service.stores.memory.locks import MemoryMaildropLocks
from service.stores.memory.reopening import MemoryReopening
from service.stores.memory.state import SUSPENDED
from tests.mail.house import ADDRESS, SECRET, House
from tests.mail.test_guard import ATTACKER, OWNER, RULES

pytestmark = pytest.mark.asyncio


async def _no_time(_seconds: float) -> None:
    """A wait that takes none."""


@dataclass
class Counting:
    """Counts how the maildrop was looked up and opened, over the stores in memory."""

    house: House
    found: int = 0
    reopened: list[bool] = field(default_factory=list)
    told: list[bool] = field(default_factory=list)
    away: bool = False

    def __post_init__(self) -> None:
        state = self.house.provider.state
        self._reopening = MemoryReopening(state)
        self._find = self.house.provider.directory.find
        self.house.provider.directory.find = self.find  # type: ignore[method-assign]
        self.attempts = MemoryAttempts(self.house.clock)
        guard = Guard(self.attempts, RULES, pause=_no_time)
        entrance = MemoryEntrance(self.house.locks, self.attempts)
        again = Again(self, entrance, self.house.verdicts, told=lambda _seconds, judged: self.told.append(judged))
        self.house.login = replace(self.house.login, again=again, guard=guard)

    async def find(self, name: str) -> Account | None:
        self.found += 1
        return await self._find(name)

    async def reopen(self, account: Account, fence: bytes) -> DropListing | None:
        if self.away:
            raise Refusal(Reason.UNAVAILABLE, "told to fail")
        drop = await self._reopening.reopen(account, fence)
        self.reopened.append(drop is not None)
        return drop

    async def log_in(self, secret: str = SECRET, client: str = OWNER, name: str = ADDRESS) -> OpenMaildrop:
        held = await self.house.login(Attempt(Password(name, secret), "USER", "s", client), lambda: None)
        await self.house.update.close(held)
        return held

    async def reason(self, secret: str = SECRET, client: str = OWNER) -> Reason:
        with pytest.raises(Refusal) as refused:
            await self.log_in(secret, client)
        assert len(self.house.leases) == 0
        return refused.value.reason

    async def free(self) -> bool:
        return not await self.house.locks.holders()


class Away(MemoryMaildropLocks):
    """Leases whose store can't be reached."""

    async def acquire(self, lease: Lease) -> bool:
        raise Refusal(Reason.UNAVAILABLE, "told to fail")


class Full(MemoryAllowances):
    """Whoever is counted finds no place left."""

    async def enter(self, circle: Circle, token: str) -> bool:
        return False


async def counting(*texts: bytes) -> Counting:
    return Counting(await House().furnish(*texts))


async def test_a_password_that_can_t_be_prepared_goes_the_long_way_and_opens_nothing() -> None:
    counted = await counting()
    await counted.log_in()
    with pytest.raises(Refusal) as refused:
        await counted.house.login(Attempt(Password(ADDRESS, SECRET, usable=False), "USER", "s", OWNER), lambda: None)
    assert (refused.value.reason, counted.found, counted.reopened) == (Reason.CREDENTIALS, 2, [])


async def test_who_comes_again_is_looked_up_and_let_in_by_one_statement() -> None:
    counted = await counting(b"A: b\r\n\r\n")
    first = await counted.log_in()
    await counted.house.deliver(b"C: d\r\n\r\n")
    again = await counted.log_in()
    assert (counted.found, counted.reopened) == (1, [True])
    assert (first.drop.messages, again.drop.messages) == (1, 2)
    assert again.guarded
    assert first.fence != again.fence
    assert counted.house.provider.state.fences[again.key] == again.fence
    assert again._replace(drop=first.drop, fence=first.fence, lease=first.lease) == first


def new_password(house: House) -> None:
    house.provider.state.credentials[0].verifier = "another"


def suspension(house: House) -> None:
    house.provider.state.maildrops[house.key].status = SUSPENDED


def no_pop3(house: House) -> None:
    house.provider.state.maildrops[house.key].policy["pop3"] = False


def removed_credential(house: House) -> None:
    house.provider.state.credentials.clear()


@pytest.mark.parametrize("change", [new_password, suspension, no_pop3, removed_credential])
async def test_g11_whatever_changed_since_binds_the_next_login(change: Callable[[House], None]) -> None:
    counted = await counting()
    held = await counted.log_in()
    change(counted.house)
    assert await counted.reason() is Reason.CREDENTIALS
    assert counted.reopened == [False]
    assert counted.house.provider.state.fences[held.key] == held.fence, "nothing was written"
    assert await counted.free()


async def test_a_change_that_still_lets_it_in_is_obeyed() -> None:
    counted = await counting()
    await counted.log_in()
    counted.house.provider.state.maildrops[counted.house.key].policy["dele"] = "refuse"
    held = await counted.log_in()
    assert held.policy.dele == "refuse"
    assert (counted.found, counted.reopened) == (2, [False])
    await counted.log_in()
    assert (counted.found, counted.reopened) == (2, [False, True])


async def test_what_went_the_long_way_after_all_is_told_by_that_one_alone() -> None:
    counted = await counting()
    await counted.log_in()
    counted.house.provider.state.maildrops[counted.house.key].policy["dele"] = "refuse"
    await counted.log_in()
    assert (counted.reopened, counted.told) == ([False], [])
    await counted.log_in()
    assert (counted.reopened, counted.told) == ([False, True], [True])


async def test_a_lease_that_was_had_while_the_index_is_away_is_told_of() -> None:
    counted = await counting()
    await counted.log_in()
    counted.away = True
    assert await counted.reason() is Reason.UNAVAILABLE
    assert counted.told == [True]


async def test_g13_a_wrong_password_is_looked_up_as_an_unknown_name_is() -> None:
    counted = await counting()
    await counted.log_in()
    assert await counted.reason("wrong") is Reason.CREDENTIALS
    assert (counted.found, counted.reopened) == (2, [])


async def test_g4_an_older_session_keeps_maildrop_and_fence() -> None:
    counted = await counting()
    await counted.log_in()
    held = await counted.house.open()
    with pytest.raises(Refusal) as refused:
        await counted.house.open()
    assert refused.value.reason is Reason.IN_USE
    assert counted.house.provider.state.fences[held.key] == held.fence
    assert [holder.session_id for holder in await counted.house.locks.holders()] == ["session"]


async def test_g14_while_the_index_is_away_the_answer_is_a_fault_and_nothing_is_held() -> None:
    counted = await counting()
    await counted.log_in()
    counted.away = True
    assert await counted.reason() is Reason.UNAVAILABLE
    assert await counted.free()


async def test_who_is_held_back_is_so_whatever_was_let_in_before() -> None:
    counted = await counting()
    await counted.log_in()
    for number in range(RULES.limits[Kind.PAIR].refuse_from):
        assert await counted.reason(f"wrong {number}") is Reason.CREDENTIALS
    assert await counted.reason() is Reason.CREDENTIALS
    assert counted.reopened == []
    assert await counted.free()


async def test_another_address_of_the_account_takes_the_long_way_first() -> None:
    counted = await counting()
    await counted.log_in()
    await counted.log_in(client=ATTACKER)
    assert (counted.found, counted.reopened) == (2, [])
    await counted.log_in(client=ATTACKER)
    assert (counted.found, counted.reopened) == (2, [True])


async def test_who_may_not_act_for_another_may_not_after_a_login_either() -> None:
    """RFC 4616 §2: the server verifies that the authentication identity may act as the authorization identity."""
    counted = await counting()
    await counted.log_in()
    proof = Password(ADDRESS, SECRET, authzid="bob@example.org")
    with pytest.raises(Refusal) as refused:
        await counted.house.login(Attempt(proof, "PLAIN", "s", OWNER), lambda: None)
    assert refused.value.reason is Reason.CREDENTIALS
    assert await counted.free()


async def test_g15_a_name_is_one_entry_however_it_is_spelled_and_holds_one_credential() -> None:
    counted = await counting()
    for name in (ADDRESS, ADDRESS.upper(), ADDRESS.title(), ADDRESS):
        await counted.log_in(name=name)
    assert (counted.found, counted.reopened) == (1, [True] * 3)
    again = counted.house.login.again
    assert again is not None
    ((known),) = again._known.values()
    assert known.account.credentials == ()


async def test_g11_a_limit_of_sessions_that_was_lifted_binds_nobody() -> None:
    counted = await counting()
    counted.house.provider.state.maildrops[counted.house.key].policy["sessions_per_tenant"] = 1
    await counted.log_in()
    leases = counted.house.login.leases
    leases._places = Places(Full(counted.house.clock))
    assert await counted.reason() is Reason.TOO_MANY_SESSIONS
    assert (counted.found, counted.reopened) == (2, []), "the directory was asked before the refusal"
    leases._places = None
    await counted.log_in()
    assert await counted.free()


async def test_without_leases_each_login_is_looked_up_once() -> None:
    counted = await counting()
    await counted.log_in()
    away = Away(counted.house.clock)
    assert counted.house.login.again is not None
    again = replace(counted.house.login.again, entrance=MemoryEntrance(away, counted.attempts))
    counted.house.login = replace(counted.house.login, locks=away, again=again)
    for _ in range(3):
        await counted.log_in()
    assert counted.found == 4
    assert not again._known, "the short way isn't tried again, which would cost both"


@pytest.mark.parametrize("policy", [{"login_delay": 1}, {"shown_days": 3}])
async def test_where_a_policy_has_more_to_say_each_login_is_looked_up(policy: dict[str, int]) -> None:
    counted = await counting()
    counted.house.provider.state.maildrops[counted.house.key].policy.update(policy)
    await counted.log_in()
    counted.house.clock.seconds += 10
    await counted.log_in()
    assert (counted.found, counted.reopened) == (2, [])


async def test_g15_no_more_accounts_are_remembered_than_there_is_room_for() -> None:
    counted = await counting()
    other = "other@example.org"
    again = Again(counted, MemoryEntrance(counted.house.locks, counted.attempts), counted.house.verdicts, entries=1)
    counted.house.login = replace(counted.house.login, again=again)
    await counted.log_in()
    account = await counted.house.provider.directory.find(ADDRESS)
    assert account is not None
    again.learn(Password(other, SECRET), replace(account, address=other), account.credentials[0])
    await counted.log_in()
    assert counted.reopened == []
