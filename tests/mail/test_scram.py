"""The keys that SCRAM exchanges get, and what becomes of their proofs: R78, R81, D47. G11, G13.

RFC 5802 §7 (nonce), RFC 7677 §3, RFC 5803 §1.
"""

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from service.mail.enrolments import Enrolments
from service.mail.login import Attempt
from service.mail.maildrop import OpenMaildrop
from service.mail.passwords import Passwords
from service.mail.scram import ScramChallenges
from service.model.policy import PolicyValue
from service.model.proof import Password, ScramProof
from service.model.refusal import Reason, Refusal
from service.model.saslprep import prepare
from service.model.scram import ITERATIONS, ScramKeys, derive_scram, parse_scram
from service.stores.memory.passwords import MemoryPasswordHashes
from service.stores.memory.state import SUSPENDED, CredentialRow
from service.stores.memory.verifiers import MemoryVerifiers
from tests.mail.house import ADDRESS, SECRET, House
from tests.mail.provider import SetClock

SALT = b"a salt of sixteen"
KEYS = derive_scram(SECRET, SALT, 4096)
SERVICE = b"the secret of the whole service"
CLIENT = "192.0.2.1"


async def furnished() -> House:
    house = await House().furnish()
    row(house).scram = KEYS.verifier
    return house


def row(house: House) -> CredentialRow:
    return house.provider.state.credentials[0]


def challenges(house: House, secret: bytes = SERVICE) -> ScramChallenges:
    return ScramChallenges(house.provider.directory, secret)


def proof(keys: ScramKeys = KEYS, name: str = ADDRESS, *, valid: bool = True, authzid: str = "") -> ScramProof:
    return ScramProof(name, keys, valid, "nonce", authzid)


async def opened(house: House, offered: ScramProof) -> OpenMaildrop:
    return await house.login(Attempt(offered, "SCRAM-SHA-256", "s", "192.0.2.1"), lambda: None)


async def refused(house: House, offered: ScramProof) -> bool:
    with pytest.raises(Refusal) as caught:
        await opened(house, offered)
    return caught.value.reason is Reason.CREDENTIALS and await house.locks.holders() == []


async def test_a_name_with_keys_gets_its_own() -> None:
    keys, _ = await challenges(await furnished())(ADDRESS, CLIENT)
    assert keys == KEYS


async def test_r78_a_name_is_found_however_it_is_written() -> None:
    keys, _ = await challenges(await furnished())(ADDRESS.upper(), CLIENT)
    assert keys == KEYS


async def test_r81_every_exchange_gets_a_nonce_of_its_own() -> None:
    ask = challenges(await furnished())
    nonces = [(await ask(name, CLIENT))[1] for name in (ADDRESS, ADDRESS, "nobody@example.org") for _ in range(5)]
    assert len(set(nonces)) == 15
    assert all(len(nonce) == 24 and nonce.isascii() and nonce.isprintable() and "," not in nonce for nonce in nonces)


async def test_d47_a_name_that_nobody_has_gets_the_same_salt_from_every_front_end() -> None:
    first, second = challenges(await furnished()), challenges(await furnished())
    keys, _ = await first("nobody@example.org", CLIENT)
    for ask in (first, second):
        for name in ("nobody@example.org", "Nobody@EXAMPLE.org"):
            assert (await ask(name, CLIENT))[0] == keys
    assert (len(keys.salt), keys.iterations) == (16, ITERATIONS)


async def test_d47_two_names_and_two_services_get_different_salts() -> None:
    house = await furnished()
    ask = challenges(house)
    names = ["nobody@example.org", "somebody@example.org", "nobody@example.com", "nobody+tag@example.org", "nobody", ""]
    salts = {(await ask(name, CLIENT))[0].salt for name in names}
    salts |= {(await challenges(house, b"another")(name, CLIENT))[0].salt for name in names}
    assert len(salts) == 2 * len(names)


async def test_g13_a_tag_changes_the_salt_whether_the_name_exists_or_not() -> None:
    ask = challenges(await furnished())
    for name in (ADDRESS, "nobody@example.org"):
        tagged = name.replace("@", "+tag@")
        assert (await ask(name, CLIENT))[0].salt != (await ask(tagged, CLIENT))[0].salt


async def test_g13_new_keys_look_like_those_of_nobody() -> None:
    passwords = Passwords(MemoryPasswordHashes(), prepare, SetClock(), scram=True)
    credential = await passwords.credential(SECRET)
    assert credential.scram is not None
    own = parse_scram(credential.scram)
    nobodys, _ = await challenges(await furnished())("nobody@example.org", CLIENT)
    assert (own.iterations, len(own.salt)) == (nobodys.iterations, len(nobodys.salt))


async def test_g13_a_suspension_doesn_t_show_in_the_salt_and_no_proof_fits_any_more() -> None:
    house = await furnished()
    house.provider.state.maildrops[house.key].status = SUSPENDED
    keys, _ = await challenges(house)(ADDRESS, CLIENT)
    assert (keys.salt, keys.iterations) == (KEYS.salt, KEYS.iterations)
    assert keys.stored_key != KEYS.stored_key
    assert keys.server_key != KEYS.server_key


@pytest.mark.parametrize(
    ("policy", "unbound", "bound"),
    [
        ({"pop3": False}, False, False),
        ({"networks": ("198.51.100.0/24",)}, False, False),
        ({"networks": ("192.0.2.0/24",)}, True, True),
        ({"mechanisms": ("PLAIN",)}, False, False),
        ({"mechanisms": ("SCRAM-SHA-256",)}, True, True),
        ({"mechanisms": ("SCRAM-SHA-256-PLUS",)}, False, True),
        ({"app_passwords": "required"}, False, False),
    ],
)
async def test_g13_where_the_policy_refuses_a_login_no_proof_fits_and_the_salt_is_the_same(
    policy: dict[str, PolicyValue], unbound: bool, bound: bool
) -> None:
    house = await furnished()
    house.provider.state.maildrops[house.key].policy = policy
    for mechanism, allowed in (("SCRAM-SHA-256", unbound), ("SCRAM-SHA-256-PLUS", bound)):
        keys, _ = await challenges(house)(ADDRESS, CLIENT, mechanism)
        assert (keys.salt, keys.iterations) == (KEYS.salt, KEYS.iterations)
        assert (keys.stored_key == KEYS.stored_key, keys.server_key == KEYS.server_key) == (allowed, allowed)


@pytest.mark.parametrize("stored", [None, "", "garbled", "SCRAM-SHA-1$4096:AAAA$AAAA:AAAA"])
async def test_a_credential_without_keys_that_can_be_read_looks_like_nobody_s(stored: str | None) -> None:
    house = await furnished()
    row(house).scram = stored
    keys, _ = await challenges(house)(ADDRESS, CLIENT)
    assert keys == (await challenges(await House().furnish())(ADDRESS, CLIENT))[0]
    assert await refused(house, proof(keys))


async def test_of_several_credentials_the_newest_with_keys_is_meant() -> None:
    house = await furnished()
    newer = derive_scram("newer", b"another salt, too", 4096)
    for keys, age in ((newer.verifier, -1), (None, -2), (KEYS.verifier, 1)):
        other = replace(row(house), scram=keys, created=row(house).created - timedelta(seconds=age))
        house.provider.state.credentials.append(other)
    assert (await challenges(house)(ADDRESS, CLIENT))[0] == newer
    assert await refused(house, proof())
    assert (await opened(house, proof(newer))).address == ADDRESS


async def test_a_valid_proof_opens_the_maildrop() -> None:
    assert (await opened(await furnished(), proof())).address == ADDRESS


@pytest.mark.parametrize("authzid", [ADDRESS, "USER@example.org"])
async def test_one_may_act_for_oneself(authzid: str) -> None:
    assert (await opened(await furnished(), proof(authzid=authzid))).address == ADDRESS


@pytest.mark.parametrize(
    "offered",
    [
        pytest.param(proof(valid=False), id="a proof that didn't fit"),
        pytest.param(proof(authzid="other@example.org"), id="D41"),
        pytest.param(proof(name="nobody@example.org"), id="a name that nobody has"),
        pytest.param(proof(replace(KEYS, stored_key=bytes(32))), id="other keys"),
    ],
)
async def test_any_other_proof_is_refused_like_a_wrong_password(offered: ScramProof) -> None:
    assert await refused(await furnished(), offered)


def suspend(house: House) -> None:
    house.provider.state.tenants[house.key.tenant_id].status = SUSPENDED


def revoke(house: House) -> None:
    row(house).status = SUSPENDED


def expire(house: House) -> None:
    row(house).expires = house.clock.now() - timedelta(days=10_000)


def change(house: House) -> None:
    row(house).scram = derive_scram("new", SALT, 4096).verifier


@pytest.mark.parametrize("happens", [suspend, revoke, expire, change])
async def test_g11_what_happens_during_the_exchange_binds_it(happens: Callable[[House], None]) -> None:
    house = await furnished()
    keys, _ = await challenges(house)(ADDRESS, CLIENT)
    happens(house)
    assert await refused(house, proof(keys))


async def test_g13_right_wrong_and_unknown_make_the_same_round_trips(monkeypatch: pytest.MonkeyPatch) -> None:
    house = await furnished()
    asked: list[str] = []
    find = house.provider.directory.find

    async def counting(name: str) -> object:
        asked.append(name)
        return await find(name)

    async def never(*_: object) -> bool:
        raise AssertionError("a SCRAM proof is never hashed")

    monkeypatch.setattr(house.provider.directory, "find", counting)
    monkeypatch.setattr(house.hashes, "verify", never)
    for name, valid in ((ADDRESS, True), (ADDRESS, False), ("nobody@example.org", False)):
        asked.clear()
        keys, _ = await challenges(house)(name, CLIENT)
        if valid:
            await house.update.close(await opened(house, proof(keys, name)))
        else:
            assert await refused(house, proof(keys, name, valid=False))
        assert asked == [name, name]


async def test_a_password_gets_keys_only_where_scram_is_switched_on() -> None:
    hashes = MemoryPasswordHashes()
    assert (await Passwords(hashes, prepare, SetClock()).credential(SECRET)).scram is None
    credential = await Passwords(hashes, prepare, SetClock(), scram=True).credential("pass\u00a0word")
    assert credential.scram is not None
    keys = parse_scram(credential.scram)
    assert keys == derive_scram("pass word", keys.salt, keys.iterations)
    assert keys.verifier not in repr(credential)


async def test_two_credentials_of_one_password_have_different_salts() -> None:
    passwords = Passwords(MemoryPasswordHashes(), prepare, SetClock(), scram=True)
    assert len({(await passwords.credential(SECRET)).scram for _ in range(3)}) == 3


async def enrolling(told: list[str] | None = None) -> tuple[House, Enrolments]:
    """A house whose password has no keys yet, at which right passwords get them."""
    house = await House().furnish()
    tell = (told if told is not None else []).append
    enrolments = Enrolments(challenges(house), MemoryVerifiers(house.provider.state), tell)
    house.login = replace(house.login, enrolments=enrolments)
    return house, enrolments


async def test_a_right_password_gets_keys_beside_its_login_and_the_next_one_may_be_by_scram() -> None:
    told: list[str] = []
    house, enrolments = await enrolling(told)
    await house.update.close(await house.open())
    await enrolments.settled()
    keys, _ = await challenges(house)(ADDRESS, CLIENT)
    assert keys == derive_scram(SECRET, keys.salt, keys.iterations)
    await house.update.close(await opened(house, proof(keys)))
    await house.open()
    await enrolments.settled()
    assert told == ["added"]


async def test_g13_new_keys_of_a_right_password_don_t_show() -> None:
    house, enrolments = await enrolling()
    before, _ = await challenges(house)(ADDRESS, CLIENT)
    await house.open()
    await enrolments.settled()
    after, _ = await challenges(house)(ADDRESS, CLIENT)
    assert (after.salt, after.iterations) == (before.salt, before.iterations)
    assert after.stored_key != before.stored_key


async def test_a_wrong_password_gets_no_keys() -> None:
    house, enrolments = await enrolling()
    with pytest.raises(Refusal):
        await house.open("wrong")
    with pytest.raises(Refusal):
        await opened_for_another(house)
    await enrolments.settled()
    assert row(house).scram is None


async def opened_for_another(house: House) -> OpenMaildrop:
    offered = Password(ADDRESS, SECRET, "other@example.org")
    return await house.login(Attempt(offered, "PLAIN", "s", "192.0.2.1"), lambda: None)


async def test_g11_keys_of_a_password_that_was_changed_meanwhile_are_not_kept() -> None:
    told: list[str] = []
    house, enrolments = await enrolling(told)
    await house.open()
    row(house).verifier = await house.hashes.hash("changed")
    await enrolments.settled()
    assert (row(house).scram, told) == (None, ["outrun"])


async def test_a_login_stands_though_its_keys_can_t_be_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    house, enrolments = await enrolling(told)

    async def down(*_: object) -> bool:
        raise Refusal(Reason.UNAVAILABLE, "down")

    monkeypatch.setattr(enrolments._verifiers, "add_scram", down)
    held = await house.open()
    await enrolments.settled()
    monkeypatch.undo()
    assert told == ["refused"]
    await house.update.close(held)
    await house.open()
    await enrolments.settled()
    assert told == ["refused", "added"]


async def test_many_logins_at_once_make_their_keys_once(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    house, enrolments = await enrolling(told)
    over = threading.Event()

    def derived_when_all_have_logged_in(secret: str, salt: bytes) -> ScramKeys:
        over.wait(60)
        return derive_scram(secret, salt)

    monkeypatch.setattr("service.mail.enrolments.derive_scram", derived_when_all_have_logged_in)
    for _ in range(5):
        await house.update.close(await house.open())
    over.set()
    await enrolments.settled()
    assert told == ["added"]
