"""Login over the in-memory stores. RFC 1939 §4 and §8, RFC 2449 §6.5 and §8.1, RFC 3206 §6, RFC 4616 §2."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from service.mail.login import Attempt
from service.model.address import parse_address
from service.model.proof import Password
from service.model.refusal import Reason, Refusal
from service.model.why import Why
from service.stores.memory.locks import MemoryMaildropLocks
from service.stores.memory.passwords import PREFIX
from service.stores.memory.state import SUSPENDED, CredentialRow
from tests.mail.house import ADDRESS, SECRET, House
from tests.mail.provider import SetClock

pytestmark = pytest.mark.asyncio


async def reason_of(house: House, name: str = ADDRESS, secret: str = SECRET, authzid: str = "") -> Reason:
    with pytest.raises(Refusal) as refused:
        await house.login(Attempt(Password(name, secret, authzid), "PLAIN", "s", "192.0.2.1"), lambda: None)
    return refused.value.reason


async def cause_of(house: House, proof: Password | None) -> str:
    with pytest.raises(Refusal) as refused:
        await house.login(Attempt(proof, "PLAIN", "s", "192.0.2.1"), lambda: None)
    return refused.value.cause


async def test_the_right_password_opens_the_maildrop_and_holds_its_lease() -> None:
    house = await House().furnish(b"A: b\r\n\r\n")
    held = await house.open()
    assert (held.drop.messages, held.drop.octets) == (1, 8)
    assert held.guarded
    assert [holder.address for holder in await house.locks.holders()] == [ADDRESS]


async def test_r39_in_use_is_said_only_to_the_right_password() -> None:
    house = await House().furnish()
    await house.open()
    assert await reason_of(house) is Reason.IN_USE
    assert await reason_of(house, secret="wrong") is Reason.CREDENTIALS


async def test_g13_unknown_wrong_and_suspended_are_refused_alike_after_one_verification(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    house = await House().furnish()
    asked: list[str | None] = []
    verify = house.hashes.verify

    async def counting(verifier: str | None, password: str) -> bool:
        asked.append(verifier)
        return await verify(verifier, password)

    monkeypatch.setattr(house.hashes, "verify", counting)
    reasons = [
        await reason_of(house, name="nobody@example.org"),
        await reason_of(house, name="user@no-such.example"),
        await reason_of(house, name="not an address"),
        await reason_of(house, secret="wrong"),
        await reason_of(house, authzid="other@example.org"),
    ]
    house.provider.state.maildrops[house.key].status = SUSPENDED
    reasons.append(await reason_of(house))
    assert set(reasons) == {Reason.CREDENTIALS}
    assert len(asked) == 6


async def test_the_log_is_told_why_a_proof_was_refused() -> None:
    house = await House().furnish()
    account = house.provider.state.maildrops[house.key]
    causes = [await cause_of(house, proof) for proof in (None, Password("no@example.org", "x"), Password(ADDRESS, "x"))]
    account.status = SUSPENDED
    causes.append(await cause_of(house, Password(ADDRESS, SECRET)))
    assert causes == ["the proof proves nothing", "no such account", "no credential matches", "suspended"]


async def test_staff_are_told_whose_login_was_refused_and_why() -> None:
    house = await House().furnish()
    told = [await refused(house, Password(ADDRESS, "x")), await refused(house, Password("no@example.org", "x"))]
    told += [await refused(house, Password(ADDRESS, SECRET, "other@example.org")), await refused(house, None)]
    await house.open()
    told.append(await refused(house, Password(ADDRESS, SECRET)))
    house.provider.state.maildrops[house.key].status = SUSPENDED
    told.append(await refused(house, Password(ADDRESS, SECRET)))
    assert [(why, whose) for why, whose in told] == [
        (Why.WRONG_SECRET, ADDRESS),
        (Why.UNKNOWN_NAME, None),
        (Why.NOT_FOR_ANOTHER, ADDRESS),
        (Why.NO_PROOF, None),
        (Why.IN_USE, ADDRESS),
        (Why.SUSPENDED, ADDRESS),
    ]


async def refused(house: House, proof: Password | None) -> tuple[Why, str | None]:
    with pytest.raises(Refusal) as refusal:
        await house.login(Attempt(proof, "PLAIN", "s", "192.0.2.1"), lambda: None)
    account = refusal.value.account
    return refusal.value.why, account.address if account else None


async def test_g11_a_suspension_binds_the_next_login() -> None:
    house = await House().furnish()
    await house.update.close(await house.open())
    house.provider.state.tenants[house.key.tenant_id].status = SUSPENDED
    assert await reason_of(house) is Reason.CREDENTIALS


async def test_g11_a_changed_password_binds_the_next_login() -> None:
    house = await House().furnish()
    await house.update.close(await house.open())
    house.provider.state.credentials[0].verifier = await house.hashes.hash("new")
    assert await reason_of(house) is Reason.CREDENTIALS
    await house.open("new")


async def test_an_expired_credential_opens_nothing() -> None:
    house = await House().furnish()
    house.provider.state.credentials[0].expires = house.clock.now() - timedelta(seconds=1)
    assert await reason_of(house) is Reason.CREDENTIALS


@pytest.mark.parametrize("minutes", [-10, 10])
async def test_f10_a_process_whose_clock_is_wrong_neither_refuses_nor_admits_anybody_for_that(minutes: int) -> None:
    now = datetime.now(UTC)
    house = await House(clock=SetClock(now + timedelta(minutes=minutes))).furnish()
    house.provider.state.credentials[0].expires = now + timedelta(minutes=5)
    await house.update.close(await house.open())
    house.provider.state.credentials[0].expires = now - timedelta(minutes=5)
    assert await reason_of(house) is Reason.CREDENTIALS


async def test_any_of_several_passwords_opens() -> None:
    house = await House().furnish()
    house.provider.state.credentials.append(CredentialRow(house.key, uuid4(), await house.hashes.hash("second")))
    await house.update.close(await house.open("second"))
    await house.open()


async def test_a_proof_of_nothing_is_refused_at_the_cost_of_one() -> None:
    house = await House().furnish()
    with pytest.raises(Refusal) as refused:
        await house.login(Attempt(None, "PLAIN", "s", "192.0.2.1"), lambda: None)
    assert refused.value.reason is Reason.CREDENTIALS


@pytest.mark.parametrize("authzid", ["", ADDRESS, "USER@example.org"])
async def test_one_may_act_for_oneself(authzid: str) -> None:
    house = await House().furnish()
    proof = Password(ADDRESS, SECRET, authzid)
    assert (await house.login(Attempt(proof, "PLAIN", "s", "192.0.2.1"), lambda: None)).address == ADDRESS


@pytest.mark.parametrize("name", ["jörg@bücher.example", "JÖRG@xn--bcher-kva.example", "jo\u0308rg@BÜCHER.example"])
@pytest.mark.parametrize("authzid", ["jörg@bücher.example", "jörg@XN--bcher-kva.example", "JO\u0308RG@bücher.example"])
async def test_one_may_act_for_oneself_however_the_address_is_spelled(name: str, authzid: str) -> None:
    """RFC 4616 §2: an authorization identity that is the name itself, in whichever form, is allowed."""
    house = House()
    address = str(parse_address(name))
    house.provider.state.credentials.append(CredentialRow(house.provider.add(address), uuid4(), PREFIX + SECRET))
    held = await house.login(Attempt(Password(name, SECRET, authzid), "PLAIN", "s", "192.0.2.1"), lambda: None)
    assert held.address == address
    for other in ("jorg@bücher.example", "jörg@bucher.example", "jörg+tag@bücher.example", "jörg"):
        assert await refused(house, Password(name, SECRET, other)) == (Why.NOT_FOR_ANOTHER, address)


async def test_r34_a_login_delay_is_enforced_after_the_credentials() -> None:
    house = await House().furnish()
    house.provider.state.maildrops[house.key].policy |= {"login_delay": 60, "login_burst": 1}
    await house.update.close(await house.open())
    assert await reason_of(house) is Reason.LOGIN_DELAY
    assert await reason_of(house, secret="wrong") is Reason.CREDENTIALS
    house.clock.seconds += 61
    house.clock.move(seconds=61)
    await house.open()


async def test_r34_a_login_refused_for_another_reason_starts_no_delay() -> None:
    house = await House().furnish()
    house.provider.state.maildrops[house.key].policy |= {"login_delay": 60, "login_burst": 1}
    held = await house.open()
    house.clock.move(seconds=61)
    house.clock.seconds += 61
    await house.locks.renew([held.lease])
    assert await reason_of(house) is Reason.IN_USE
    await house.update.close(held)
    await house.open()


async def test_r34_a_login_too_soon_leaves_the_maildrop_free() -> None:
    house = await House().furnish()
    house.provider.state.maildrops[house.key].policy |= {"login_delay": 60, "login_burst": 1}
    await house.update.close(await house.open())
    assert await reason_of(house) is Reason.LOGIN_DELAY
    assert await house.locks.holders() == []


async def test_r9_a_refused_open_releases_the_lease(monkeypatch: pytest.MonkeyPatch) -> None:
    house = await House().furnish()

    async def broken(*_: object) -> None:
        raise Refusal(Reason.UNAVAILABLE, "down")

    with monkeypatch.context() as patch:
        patch.setattr(house.index, "open", broken)
        assert await reason_of(house) is Reason.UNAVAILABLE
    assert await house.locks.holders() == []
    assert len(house.leases) == 0
    await house.open()


async def test_f3_without_the_store_of_leases_the_fence_alone_guards(monkeypatch: pytest.MonkeyPatch) -> None:
    house = await House().furnish(b"A: b\r\n\r\n")
    first = await house.open()

    async def down(*_: object) -> bool:
        raise Refusal(Reason.UNAVAILABLE, "down")

    monkeypatch.setattr(house.locks, "acquire", down)
    second = await house.open()
    assert not second.guarded
    with pytest.raises(Refusal) as refused:
        await house.update(first, [1])
    assert refused.value.reason is Reason.LOST
    await house.update(second, [1])
    assert (await house.index.open(house.key, bytes(16))).messages == 0


async def test_g5_a_lease_taken_by_another_is_told_to_its_session_once() -> None:
    house = await House().furnish()
    told: list[bool] = []
    await house.open(on_lost=lambda: told.append(True))
    await house.locks.evict(house.key)
    await house.renew()
    await house.renew()
    assert told == [True]


async def test_f4_a_lease_that_was_forgotten_is_taken_again() -> None:
    house = await House().furnish()
    told: list[bool] = []
    await house.open(on_lost=lambda: told.append(True))
    house.locks.forget()
    await house.leases.renew()
    assert told == []
    assert await reason_of(house) is Reason.IN_USE


async def test_g6_an_orderly_end_frees_the_maildrop_at_once() -> None:
    house = await House().furnish()
    await house.update.close(await house.open())
    await house.open()


async def test_g6_a_dead_front_end_s_lease_is_over_within_30_seconds() -> None:
    house = await House().furnish()
    await house.open()
    assert isinstance(house.locks, MemoryMaildropLocks)
    house.clock.seconds += 30
    house.clock.move(seconds=30)
    await house.open()
