"""Wrong passwords are counted, slowed, refused unseen and closed; their owners are never locked out. G13, G14.

RFC 3206 §5: every refusal is one of credentials, in the same words.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from ipaddress import ip_network

import pytest

from service.mail.attempts import Counted
from service.mail.counting import Rules
from service.mail.guard import HOW, Guard
from service.mail.login import Attempt
from service.mail.scram import ScramChallenges
from service.model.account import Account
from service.model.attempts import Kind, Limit, Standing, Subject, Verdict
from service.model.proof import Password, Proof, ScramProof
from service.model.refusal import Reason, Refusal
from service.model.scram import derive_scram
from service.model.why import Why
from service.stores.memory.attempts import MemoryAttempts
from service.stores.memory.state import SUSPENDED
from tests.mail.house import ADDRESS, SECRET, House

OWNER, ATTACKER, BALANCER, OFFICE = "192.0.2.1", "203.0.113.66", "10.0.0.1", "198.51.100.1"
LIMITS = {
    Kind.ADDRESS: Limit(10, 20),
    Kind.PAIR: Limit(4, 8),
    Kind.ACCOUNT: Limit(12, 30),
    Kind.TENANT: Limit(40, 0),
}
RULES = Rules(LIMITS, exempt=(ip_network("198.51.100.0/24"),), proxies=(ip_network("10.0.0.0/8"),))
KEYS = derive_scram(SECRET, b"a salt of sixteen", 4096)


@dataclass
class Watched:
    """Remembers what it heard."""

    verdicts: list[Verdict] = field(default_factory=list)
    how: list[str] = field(default_factory=list)

    def held_back(self, verdict: Verdict) -> None:
        self.verdicts.append(verdict)

    def counted(self, how: str, limits: Mapping[Kind, Limit], counted: Sequence[Counted], real: bool) -> None:
        assert how in HOW
        self.how.append(how)


class Guarded:
    """A house with a guard; waiting takes no time but is noted."""

    def __init__(self, house: House, rules: Rules = RULES) -> None:
        self.house = house
        self.attempts = MemoryAttempts(house.clock)
        self.watched = Watched()
        self.waited: list[float] = []
        self.guard = Guard(self.attempts, rules, self.watched, self._wait)
        self.login = replace(house.login, guard=self.guard)

    async def _wait(self, seconds: float) -> None:
        self.waited.append(seconds)

    async def refusal(self, secret: str, client: str = ATTACKER, name: str = ADDRESS) -> Refusal:
        return await self.refused(Password(name, secret), client)

    async def refused(self, proof: Proof | None, client: str = ATTACKER) -> Refusal:
        with pytest.raises(Refusal) as refused:
            await self.login(Attempt(proof, "PLAIN", "s", client), lambda: None)
        return refused.value

    async def opens(self, client: str = OWNER, secret: str = SECRET, name: str = ADDRESS) -> None:
        held = await self.login(Attempt(Password(name, secret), "PLAIN", "s", client), lambda: None)
        await self.house.update.close(held)
        await self.guard.after.settled()

    async def guess(self, times: int, client: str = ATTACKER, name: str = ADDRESS) -> None:
        for number in range(times):
            assert (await self.refusal(f"guess {number}", client, name)).reason is Reason.CREDENTIALS

    async def from_many_addresses(self, times: int, name: str = ADDRESS) -> None:
        for number in range(times):
            await self.refusal(f"guess {number}", f"203.0.{number // 250}.{number % 250}", name)

    async def known(self, client: str = OWNER) -> float:
        (standing,) = await self.attempts.standings([Subject(Kind.PAIR, f"{ADDRESS} {client}")])
        return standing.known

    async def score(self, kind: Kind, name: str) -> float:
        (standing,) = await self.attempts.standings([Subject(kind, name)])
        return standing.score


@pytest.fixture
async def guarded() -> Guarded:
    return Guarded(await House().furnish())


async def test_a_few_wrong_passwords_cost_nothing_but_the_usual(guarded: Guarded) -> None:
    await guarded.guess(3)
    await guarded.opens(ATTACKER)
    assert guarded.waited == []
    assert guarded.watched.how == ["new"] * 3


async def test_further_ones_wait_ever_longer_before_they_are_looked_at(guarded: Guarded) -> None:
    await guarded.guess(8)
    assert guarded.waited == [0.5, 1, 2, 4]


async def test_even_further_ones_are_refused_unseen_in_the_same_words_after_the_same_wait(guarded: Guarded) -> None:
    await guarded.guess(8)
    seen: list[str | None] = []
    verify = guarded.house.hashes.verify

    async def noting(verifier: str | None, password: str) -> bool:
        seen.append(verifier)
        return await verify(verifier, password)

    guarded.house.hashes.verify = noting  # type: ignore[method-assign]
    refusal = await guarded.refusal(SECRET)
    assert (refusal.reason, refusal.final, seen) == (Reason.CREDENTIALS, False, [])
    assert refusal.cause == "held back: the account from this address, 8 wrong passwords"
    assert guarded.waited[-1] == 8
    assert guarded.watched.how[-1] == "unseen"


async def test_the_directory_is_asked_for_a_login_that_is_refused_unseen_too(guarded: Guarded) -> None:
    await guarded.guess(8)
    found: list[str] = []
    find = guarded.house.provider.directory.find

    async def noting(name: str) -> Account | None:
        found.append(name)
        return await find(name)

    guarded.house.provider.directory.find = noting  # type: ignore[method-assign]
    await guarded.guess(1)
    assert found == [ADDRESS]


async def test_an_address_that_goes_on_has_its_connections_closed(guarded: Guarded) -> None:
    for number in range(20):
        await guarded.guess(1, name=f"user{number}@example.org")
    assert not (await guarded.refusal("x")).final
    # What isn't looked at weighs little: only who hammers gets that far.
    for _ in range(1000):
        refusal = await guarded.refusal("x")
    assert refusal.final
    assert guarded.watched.verdicts[-1].closes


async def test_what_was_counted_fades(guarded: Guarded) -> None:
    await guarded.guess(8)
    guarded.house.clock.seconds += 4 * 900
    await guarded.opens(ATTACKER)


async def test_c04_the_same_wrong_password_counts_once_however_often_it_is_tried(guarded: Guarded) -> None:
    """Thunderbird tries a saved one by PLAIN, LOGIN and USER, over several connections, at each check for mail."""
    for _ in range(3 * 12):
        await guarded.refusal("saved long ago", OWNER)
    assert guarded.waited == []
    assert guarded.watched.how == ["new"] + ["repeated"] * 35
    assert await guarded.score(Kind.PAIR, f"{ADDRESS} {OWNER}") < 2
    await guarded.opens(OWNER)


async def test_a_password_that_none_can_be_counts_once_and_against_its_account_too(guarded: Guarded) -> None:
    """A saved one in Latin-1, which isn't UTF-8, can't have its client's whole address refused."""
    saved = Password(ADDRESS, "gr\udcfc\udcdfe", usable=False)
    for _ in range(3 * 12):
        assert (await guarded.refused(saved, OWNER)).why is Why.UNUSABLE_SECRET
    assert guarded.waited == []
    assert guarded.watched.how == ["new"] + ["repeated"] * 35
    for kind, name in ((Kind.PAIR, f"{ADDRESS} {OWNER}"), (Kind.ACCOUNT, ADDRESS), (Kind.ADDRESS, OWNER)):
        assert 1 < await guarded.score(kind, name) < 2
    await guarded.opens(OWNER)


async def test_the_same_wrong_password_counts_once_from_another_address_and_days_later(guarded: Guarded) -> None:
    await guarded.refusal("saved long ago", OWNER)
    guarded.house.clock.seconds += 6 * 86_400
    await guarded.refusal("saved long ago", ATTACKER)
    assert guarded.watched.how == ["new", "repeated"]


async def test_for_days_only_the_marks_of_real_accounts_are_kept(guarded: Guarded) -> None:
    for name in (ADDRESS, "nobody@example.org"):
        await guarded.refusal("x", name=name)
    guarded.house.clock.seconds += 86_400
    for name in (ADDRESS, "nobody@example.org"):
        await guarded.refusal("x", name=name)
    assert guarded.watched.how == ["new", "new", "repeated", "new"]


async def test_a_flood_of_one_wrong_password_is_stopped_all_the_same(guarded: Guarded) -> None:
    for _ in range(400):
        await guarded.refusal("x")
    assert guarded.watched.how[-1] == "unseen"


async def test_an_owner_isn_t_locked_out_by_who_attacks_the_account_from_many_addresses(guarded: Guarded) -> None:
    await guarded.opens(OWNER)
    await guarded.from_many_addresses(60)
    assert (await guarded.refusal(SECRET, "198.18.0.1")).cause.startswith("held back: the account, ")
    before = len(guarded.waited)
    await guarded.opens(OWNER)
    assert len(guarded.waited) == before


async def test_a_neighbour_who_shares_the_address_locks_nobody_out(guarded: Guarded) -> None:
    await guarded.opens(OWNER)
    for number in range(30):
        await guarded.guess(1, OWNER, f"user{number}@example.org")
    assert (await guarded.refusal("x", OWNER, "else@example.org")).cause.startswith(f"held back: address {OWNER}")
    await guarded.opens(OWNER)
    await guarded.guess(8, OWNER)
    assert (await guarded.refusal(SECRET, OWNER)).cause.startswith("held back: the account from this address")


async def test_a_success_forgives_the_pair_and_nobody_else(guarded: Guarded) -> None:
    await guarded.guess(3)
    await guarded.opens(ATTACKER)
    assert await guarded.score(Kind.PAIR, f"{ADDRESS} {ATTACKER}") == 0
    assert await guarded.score(Kind.ADDRESS, ATTACKER) == pytest.approx(3)
    assert await guarded.score(Kind.ACCOUNT, ADDRESS) == pytest.approx(3)


async def test_a_success_is_known_for_a_week_and_written_anew_in_its_second_half(guarded: Guarded) -> None:
    await guarded.opens(OWNER)
    guarded.house.clock.seconds += 3 * 86_400
    await guarded.opens(OWNER)
    assert await guarded.known() == 4 * 86_400
    guarded.house.clock.seconds += 86_400
    await guarded.opens(OWNER)
    assert await guarded.known() == 7 * 86_400


async def test_where_it_went_well_a_moment_ago_only_the_pair_is_asked_about(guarded: Guarded) -> None:
    asked: list[set[Kind]] = []
    standings = guarded.attempts.standings

    async def noting(subjects: Sequence[Subject], mark: str = "") -> Sequence[Standing]:
        asked.append({each.kind for each in subjects})
        return await standings(subjects, mark)

    guarded.attempts.standings = noting  # type: ignore[method-assign]
    every = {Kind.ADDRESS, Kind.PAIR, Kind.ACCOUNT, Kind.TENANT}
    await guarded.opens(OWNER)
    await guarded.opens(OWNER)
    assert asked == [every, {Kind.PAIR}]
    for _ in range(2):
        await guarded.refusal("typed wrong", OWNER)
    assert asked[2:] == [{Kind.PAIR}, every] * 2
    assert guarded.watched.how == ["new", "repeated"]


async def test_g15_g17_of_names_those_that_were_let_in_are_kept_alone_and_not_without_end(
    guarded: Guarded, monkeypatch: pytest.MonkeyPatch
) -> None:
    guard, right, typed = guarded.guard, Password(ADDRESS, SECRET), Password("a.password@typed.example", SECRET)
    before = guard.pair(OWNER, right)
    assert guard.pair(OWNER, typed) is not None
    assert not guard.pairs
    await guarded.opens(OWNER)
    assert [guard.pair(OWNER, right), guard.pair(OWNER, right)] == [before, before]
    guard.pair(OWNER, typed)
    guard.pair(ATTACKER, right)
    assert list(guard.pairs) == [(OWNER, ADDRESS)]
    monkeypatch.setattr("service.mail.guard.PLACES", 1)
    assert guard.pair(OWNER, Password(ADDRESS.upper(), SECRET)) == before
    assert list(guard.pairs) == [(OWNER, ADDRESS.upper())]


async def test_many_accounts_of_a_tenant_attacked_slow_its_newcomers(guarded: Guarded) -> None:
    await guarded.opens(OWNER)
    for number in range(40):
        await guarded.refusal("x", f"203.0.113.{number}", f"user{number}@example.org")
    await guarded.opens("198.18.0.1")
    assert guarded.waited == [0.5]
    assert guarded.watched.verdicts[-1].by is not None
    assert guarded.watched.verdicts[-1].by.subject == Subject(Kind.TENANT, "example")


async def test_unknown_names_domains_and_suspended_ones_are_held_back_like_any_other(guarded: Guarded) -> None:
    houses = []
    for name in (ADDRESS, "nobody@example.org", "user@nowhere.example"):
        for status in (None, SUSPENDED):
            house = Guarded(await House().furnish())
            if status:
                house.house.provider.state.maildrops[house.house.key].status = status
            await house.guess(12, name=name)
            houses.append((house.waited, house.watched.how, [each.refused for each in house.watched.verdicts]))
    assert all(each == houses[0] for each in houses)
    assert True in houses[0][2]


async def test_a_balancer_is_never_held_back_for_its_clients(guarded: Guarded) -> None:
    """A misconfigured one that sends no PROXY header lends its address to everybody."""
    for number in range(100):
        await guarded.guess(1, BALANCER, f"user{number}@example.org")
    guarded.house.provider.add("last@example.org")
    await guarded.opens(BALANCER)
    assert [each for each in await guarded.attempts.scored() if BALANCER in each.subject.name] == []
    assert await guarded.known(BALANCER) == 0


async def test_an_office_is_never_held_back_as_a_whole(guarded: Guarded) -> None:
    for number in range(30):
        await guarded.guess(1, OFFICE, f"user{number}@example.org")
    await guarded.opens(OFFICE)
    await guarded.guess(8, OFFICE)
    assert (await guarded.refusal(SECRET, OFFICE)).cause.startswith("held back: the account from this address")


@pytest.mark.parametrize("reason", [Reason.OVERLOADED, Reason.UNAVAILABLE])
async def test_g14_what_is_no_fault_of_the_client_isn_t_counted(
    guarded: Guarded, reason: Reason, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object) -> bool:
        raise Refusal(reason, "told to")

    monkeypatch.setattr(guarded.house.hashes, "verify", fail)
    for _ in range(30):
        assert (await guarded.refusal(SECRET)).reason is reason
    monkeypatch.setattr(guarded.house.provider.directory, "find", fail)
    assert (await guarded.refusal(SECRET)).reason is reason
    assert guarded.watched == Watched()
    assert await guarded.attempts.scored() == []


async def test_g14_a_maildrop_in_use_isn_t_counted(guarded: Guarded) -> None:
    await guarded.house.open()
    for _ in range(30):
        assert (await guarded.refusal(SECRET)).reason is Reason.IN_USE
    assert await guarded.attempts.scored() == []


async def test_what_proves_nothing_counts_against_the_address(guarded: Guarded) -> None:
    await guarded.refused(None)
    assert [each.subject for each in await guarded.attempts.scored()] == [Subject(Kind.ADDRESS, ATTACKER)]


async def test_a_proof_without_a_password_counts_each_time(guarded: Guarded) -> None:
    wrong = ScramProof(ADDRESS, KEYS, False, "nonce")
    for _ in range(4):
        await guarded.refused(wrong)
    assert guarded.watched.how == ["new"] * 4
    await guarded.refused(wrong)
    assert guarded.waited == [0.5]


Ask = Callable[[str, str], Awaitable[object]]


def asking(guarded: Guarded) -> Ask:
    return ScramChallenges(guarded.house.provider.directory, b"secret", guarded.guard)


async def test_a_look_up_for_scram_waits_as_its_login_would(guarded: Guarded) -> None:
    ask = asking(guarded)
    before = await asking(guarded)(ADDRESS, ATTACKER)
    assert guarded.waited == []
    await guarded.guess(8)
    del guarded.waited[:]
    salt = (await ask(ADDRESS, ATTACKER))[0].salt  # type: ignore[index]
    assert guarded.waited == [8]
    assert salt == before[0].salt  # type: ignore[index]


async def test_g13_whoever_is_refused_unseen_learns_nothing_of_a_password_by_scram_either(guarded: Guarded) -> None:
    guarded.house.provider.state.credentials[0].scram = KEYS.verifier
    ask = ScramChallenges(guarded.house.provider.directory, b"secret", guarded.guard)
    assert (await ask(ADDRESS, ATTACKER))[0] == KEYS
    await guarded.guess(9)
    assert guarded.watched.verdicts[-1].refused
    keys, _ = await ask(ADDRESS, ATTACKER)
    assert (keys.salt, keys.iterations) == (KEYS.salt, KEYS.iterations)
    assert keys.stored_key != KEYS.stored_key
    assert (await ask(ADDRESS, OWNER))[0] == KEYS


async def test_a_look_up_for_scram_is_refused_where_connections_are_closed(guarded: Guarded) -> None:
    await guarded.attempts.count([])
    for number in range(20):
        await guarded.guess(1, name=f"user{number}@example.org")
    for _ in range(1000):
        await guarded.refusal("x")
    with pytest.raises(Refusal) as refused:
        await asking(guarded)(ADDRESS, ATTACKER)
    assert (refused.value.reason, refused.value.final) == (Reason.CREDENTIALS, True)


async def test_an_exchange_given_up_after_its_look_up_counts_against_the_address(guarded: Guarded) -> None:
    for _ in range(20):
        await guarded.guard.abandoned(ATTACKER)
    assert (await guarded.refusal(SECRET)).cause == f"held back: address {ATTACKER}, 20 wrong passwords"
    assert guarded.watched.how[0] == "abandoned"


async def test_staff_can_ask_how_a_login_would_be_met(guarded: Guarded) -> None:
    await guarded.guess(8)
    record, verdict = await guarded.guard.standing(ATTACKER, ADDRESS)
    assert verdict.refused
    assert verdict.by is not None
    assert verdict.by.subject.kind is Kind.PAIR
    assert {each.subject.kind for each in record.standings} == {Kind.ADDRESS, Kind.PAIR, Kind.ACCOUNT, Kind.TENANT}
    assert (await guarded.guard.standing(OWNER, ADDRESS))[1] == Verdict()


async def test_without_rules_nobody_is_counted() -> None:
    guarded = Guarded(await House().furnish(), Rules())
    await guarded.guess(100)
    await guarded.opens(ATTACKER)
    assert (len(guarded.attempts), guarded.waited) == (0, [])


async def test_recent_before_a_name_gives_no_second_set_of_tries(guarded: Guarded) -> None:
    for number, name in enumerate((ADDRESS, f"recent:{ADDRESS}", f"RECENT:{ADDRESS}")):
        await guarded.refusal(f"guess {number}", name=name)
    assert await guarded.score(Kind.ACCOUNT, ADDRESS) == pytest.approx(3)
    assert await guarded.score(Kind.PAIR, f"{ADDRESS} {ATTACKER}") == pytest.approx(3)
