"""Logins and deliveries of tenants whose users an outside directory keeps. RFC 3206 §5, RFC 4616 §2, RFC 5802 §3."""

from dataclasses import replace
from uuid import uuid4

import pytest

from service.mail.scram import ScramChallenges
from service.model.address import parse_address
from service.model.outside import Allowed, Question
from service.model.proof import BearerProof, Password, ScramProof
from service.model.refusal import Reason, Refusal
from service.model.scram import derive_scram, parse_scram
from service.stores.memory.passwords import OLD, PREFIX
from service.stores.memory.state import SUSPENDED, CredentialRow
from tests.mail.house import ADDRESS, SECRET
from tests.mail.outside_world import OutsideHouse, Users

pytestmark = pytest.mark.asyncio

NEW = "new@example.org"
BOTH = pytest.mark.parametrize("judges", [False, True], ids=["query", "hook"])


def users(judges: bool) -> Users:
    return Users({ADDRESS: SECRET, NEW: "other pass"}, judges)


async def reason_of(house: OutsideHouse, name: str = ADDRESS, secret: str = SECRET) -> Reason:
    with pytest.raises(Refusal) as refused:
        await house.password(name, secret)
    return refused.value.reason


@BOTH
async def test_the_directory_s_password_opens_the_maildrop(judges: bool) -> None:
    house = OutsideHouse(users(judges))
    assert (await house.password(ADDRESS, SECRET)).key == house.house.key
    assert await reason_of(house, secret="wrong") is Reason.CREDENTIALS


@BOTH
async def test_poplar_s_own_credentials_open_nothing_there(judges: bool) -> None:
    house = OutsideHouse(users(judges))
    row = CredentialRow(house.house.key, uuid4(), PREFIX + "own pass")
    house.house.provider.state.credentials.append(row)
    assert await reason_of(house, secret="own pass") is Reason.CREDENTIALS
    house.tenant.directory = "own"
    await house.password(ADDRESS, "own pass")


@BOTH
async def test_the_service_s_default_holds_for_tenants_that_chose_none(judges: bool) -> None:
    house = OutsideHouse(users(judges), chosen=None, default="crm")
    await house.password(ADDRESS, SECRET)
    house.tenant.directory = "own"
    assert await reason_of(house) is Reason.CREDENTIALS


async def test_a_directory_that_the_settings_do_not_have_opens_nothing_and_blames_nobody() -> None:
    house = OutsideHouse(users(False), chosen="gone")
    row = CredentialRow(house.house.key, uuid4(), PREFIX + SECRET)
    house.house.provider.state.credentials.append(row)
    assert await reason_of(house) is Reason.UNAVAILABLE
    assert await reason_of(house, "nobody@example.org") is Reason.UNAVAILABLE


@BOTH
async def test_g11_a_password_changed_there_binds_the_next_login(judges: bool) -> None:
    house = OutsideHouse(users(judges))
    await house.password(ADDRESS, SECRET)
    house.users.passwords[ADDRESS] = "changed"
    assert await reason_of(house) is Reason.CREDENTIALS
    await house.password(ADDRESS, "changed")


@BOTH
async def test_g11_what_poplar_suspends_stays_suspended(judges: bool) -> None:
    house = OutsideHouse(users(judges))
    state = house.house.provider.state
    state.maildrops[house.house.key].status = SUSPENDED
    assert await reason_of(house) is Reason.CREDENTIALS
    state.maildrops[house.house.key].status = "active"
    state.domains[0].status = SUSPENDED
    assert await reason_of(house, NEW, "other pass") is Reason.CREDENTIALS
    assert house.maildrops() == [ADDRESS]


@BOTH
async def test_the_first_login_makes_the_maildrop_and_the_next_one_finds_it(judges: bool) -> None:
    house = OutsideHouse(users(judges))
    assert await reason_of(house, NEW, "wrong") is Reason.CREDENTIALS
    assert house.maildrops() == [ADDRESS]
    first, second = await house.password(NEW, "other pass"), await house.password(NEW.upper(), "other pass")
    assert first.key == second.key
    assert house.maildrops() == [NEW, ADDRESS]
    entry = house.house.provider.state.audit[-1][1]
    assert (entry.actor, entry.action, entry.subject) == ("directory:crm", "maildrop.create", NEW)


@BOTH
async def test_where_staff_make_maildrops_nobody_else_gets_in(judges: bool) -> None:
    house = OutsideHouse(users(judges), provides=False)
    assert await reason_of(house, NEW, "other pass") is Reason.CREDENTIALS
    assert house.maildrops() == [ADDRESS]


async def test_an_alias_is_no_maildrop_and_becomes_none() -> None:
    house = OutsideHouse(users(True))
    house.house.provider.alias(NEW, house.house.key)
    assert await reason_of(house, NEW, "other pass") is Reason.CREDENTIALS
    assert (await house.accounts.resolve(parse_address(NEW))).key == house.house.key


@BOTH
async def test_g13_every_name_of_the_tenant_is_asked_for_and_costs_one_verification(
    judges: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = OutsideHouse(users(judges), provides=False)
    verified: list[str | None] = []
    verify = house.house.hashes.verify

    async def counting(verifier: str | None, password: str) -> bool:
        verified.append(verifier)
        return await verify(verifier, password)

    monkeypatch.setattr(house.house.hashes, "verify", counting)
    names = [ADDRESS, NEW, "nobody@example.org"]
    assert {await reason_of(house, name, "wrong") for name in names} == {Reason.CREDENTIALS}
    house.house.provider.state.maildrops[house.house.key].status = SUSPENDED
    assert await reason_of(house) is Reason.CREDENTIALS
    assert len(verified) == 4
    assert [question.address.base for question in house.users.asked] == [*names, ADDRESS]


@BOTH
async def test_no_directory_is_shown_a_password_that_can_t_be_prepared(judges: bool) -> None:
    house = OutsideHouse(users(judges))
    for name in (ADDRESS, NEW, "nobody@example.org"):
        with pytest.raises(Refusal) as refused:
            await house.open(Password(name, SECRET, usable=False))
        assert refused.value.reason is Reason.CREDENTIALS
    assert [question.password for question in house.users.asked] == ([] if judges else [None] * 3)


@BOTH
async def test_g14_a_directory_that_is_away_blames_no_password_whoever_asks(judges: bool) -> None:
    house = OutsideHouse(users(judges))
    house.users.refuses = Refusal(Reason.UNAVAILABLE, "no clear answer")
    names = [ADDRESS, NEW, "nobody@example.org"]
    assert {await reason_of(house, name) for name in names} == {Reason.UNAVAILABLE}
    house.house.provider.state.maildrops[house.house.key].status = SUSPENDED
    assert await reason_of(house) is Reason.UNAVAILABLE


async def test_a_hook_hears_who_asks_and_how() -> None:
    house = OutsideHouse(users(True))
    await house.password(ADDRESS, SECRET)
    asked = house.users.asked[0]
    assert replace(asked, session_id="") == Question(
        parse_address(ADDRESS), "example", SECRET, "192.0.2.1", "PLAIN", "pop3s"
    )
    assert SECRET not in repr(asked)


async def test_a_hook_may_set_what_the_session_heeds_of_the_policy() -> None:
    house = OutsideHouse(users(True))
    house.users.allowed = Allowed("phone", {"login_delay": 60, "login_burst": 1})
    assert (await house.password(ADDRESS, SECRET)).policy.login_delay == 60
    assert await reason_of(house) is Reason.LOGIN_DELAY


async def test_a_verifier_that_is_kept_outside_is_never_renewed_here(monkeypatch: pytest.MonkeyPatch) -> None:
    house = OutsideHouse(users(False))
    house.users.prefix = OLD
    hashed: list[str] = []
    monkeypatch.setattr(house.house.hashes, "hash", hashed.append)
    await house.password(ADDRESS, SECRET)
    await house.house.renewals.settled()
    assert len(house.house.verdicts) == 1
    assert hashed == []


async def test_r78_scram_works_with_the_keys_that_a_query_brings_and_with_them_alone() -> None:
    keys = derive_scram(SECRET, b"0123456789abcdef")
    house = OutsideHouse(Users({ADDRESS: SECRET}, scram={ADDRESS: keys.verifier}))
    challenges = ScramChallenges(house.accounts, b"s" * 32)
    assert (await challenges(ADDRESS, "192.0.2.1"))[0] == parse_scram(keys.verifier)
    held = await house.open(ScramProof(ADDRESS, keys, valid=True, nonce="n"))
    assert held.key == house.house.key
    with pytest.raises(Refusal) as refused:
        await house.open(ScramProof(ADDRESS, keys, valid=False, nonce="n"))
    assert refused.value.reason is Reason.CREDENTIALS


@BOTH
async def test_g13_without_keys_scram_meets_what_a_stranger_meets(judges: bool) -> None:
    house = OutsideHouse(users(judges))
    challenges = ScramChallenges(house.accounts, b"s" * 32)
    keys, _ = await challenges(ADDRESS, "192.0.2.1")
    assert keys == challenges.nobodys(ADDRESS)
    with pytest.raises(Refusal) as refused:
        await house.open(ScramProof(ADDRESS, keys, valid=True, nonce="n"))
    assert refused.value.reason is Reason.CREDENTIALS


@BOTH
async def test_a_token_opens_nothing_for_whom_the_directory_does_not_know(judges: bool) -> None:
    house = OutsideHouse(users(judges))
    house.trust_tokens()
    token = BearerProof(ADDRESS, "good token")
    assert (await house.open(token)).key == house.house.key
    await house.open(replace(token, name=NEW))
    assert house.maildrops() == [NEW, ADDRESS]
    house.users.passwords.clear()
    for name in (ADDRESS, NEW, "nobody@example.org"):
        with pytest.raises(Refusal) as refused:
            await house.open(replace(token, name=name))
        assert refused.value.reason is Reason.CREDENTIALS
    assert house.maildrops() == [NEW, ADDRESS]


@BOTH
async def test_the_first_mail_makes_the_maildrop_of_whom_the_directory_knows(judges: bool) -> None:
    house = OutsideHouse(users(judges))
    found = await house.accounts.resolve(parse_address("New+tag@example.org"))
    assert (found.address, found.tenant) == (NEW, "example")
    assert house.maildrops() == [NEW, ADDRESS]
    with pytest.raises(Refusal) as refused:
        await house.accounts.resolve(parse_address("nobody@example.org"))
    assert refused.value.reason is Reason.NO_RECIPIENT


async def test_a_catch_all_takes_no_mail_of_whom_the_directory_knows() -> None:
    house = OutsideHouse(users(False))
    house.house.provider.alias("@example.org", house.house.key)
    assert (await house.accounts.resolve(parse_address("nobody@example.org"))).key == house.house.key
    assert (await house.accounts.resolve(parse_address(NEW))).address == NEW


async def test_g1_a_directory_that_is_away_keeps_mail_waiting_and_sends_it_nowhere_else() -> None:
    house = OutsideHouse(users(False))
    house.house.provider.alias("@example.org", house.house.key)
    house.users.refuses = Refusal(Reason.UNAVAILABLE, "no clear answer")
    with pytest.raises(Refusal) as refused:
        await house.accounts.resolve(parse_address(NEW))
    assert refused.value.reason is Reason.UNAVAILABLE
    assert (await house.accounts.resolve(parse_address(ADDRESS))).key == house.house.key


async def test_where_staff_make_maildrops_deliveries_ask_nobody() -> None:
    house = OutsideHouse(users(False), provides=False)
    with pytest.raises(Refusal):
        await house.accounts.resolve(parse_address(NEW))
    assert house.users.asked == []
