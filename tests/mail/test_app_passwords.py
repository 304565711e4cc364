"""App passwords at login: found by their own text, narrowed by their own policy. RFC 4616 §2, RFC 3206 §5."""

from collections.abc import Mapping

import pytest

from service.mail.login import Attempt
from service.mail.maildrop import OpenMaildrop
from service.mail.passwords import Passwords
from service.model.policy import PolicyValue
from service.model.proof import Password
from service.model.refusal import Reason, Refusal
from service.stores.memory.passwords import MemoryPasswordHashes
from service.stores.memory.state import CredentialRow
from tests.mail.house import ADDRESS, SECRET, House
from tests.mail.provider import SetClock


def furnish_app(house: House, narrowing: Mapping[str, PolicyValue] | None = None) -> str:
    """An app password of the house's maildrop."""
    made, text = Passwords(MemoryPasswordHashes(), str, SetClock()).app("phone", narrowing or {})
    assert made.credential_id is not None
    row = CredentialRow(house.key, made.credential_id, made.verifier, made.kind, made.label, policy=dict(made.policy))
    house.provider.state.credentials.append(row)
    return text


async def open_by(house: House, secret: str, mechanism: str = "PLAIN", client: str = "192.0.2.1") -> OpenMaildrop:
    return await house.login(Attempt(Password(ADDRESS, secret), mechanism, "s", client), lambda: None)


async def cause_of(house: House, secret: str, mechanism: str = "PLAIN", client: str = "192.0.2.1") -> str:
    with pytest.raises(Refusal) as refused:
        await open_by(house, secret, mechanism, client)
    assert refused.value.reason is Reason.CREDENTIALS
    return refused.value.cause


async def test_an_app_password_opens_the_maildrop_beside_the_ordinary_one() -> None:
    house = await House().furnish()
    text = furnish_app(house)
    for secret in (text, text.replace("-", " "), SECRET):
        held = await open_by(house, secret)
        await house.update.close(held)


async def test_a_right_app_password_costs_no_computation_and_a_wrong_one_costs_what_every_refusal_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    house = await House().furnish()
    text = furnish_app(house)
    asked: list[str | None] = []
    verify = house.hashes.verify

    async def counting(verifier: str | None, password: str) -> bool:
        asked.append(verifier)
        return await verify(verifier, password)

    monkeypatch.setattr(house.hashes, "verify", counting)
    await open_by(house, text)
    assert asked == []
    assert await cause_of(house, text[:-1] + ("a" if text[-1] != "a" else "b")) == "no credential matches"
    assert len(asked) == 1


async def test_g14_a_narrowing_that_can_t_be_obeyed_is_a_fault_and_opens_nothing() -> None:
    house = await House().furnish()
    text = furnish_app(house)
    house.provider.state.credentials[-1].policy = {"mechanisms": ("A-WAY-OF-A-LATER-RELEASE",)}
    with pytest.raises(Refusal) as refused:
        await open_by(house, text)
    assert (refused.value.reason, await house.locks.holders()) == (Reason.INVALID, [])


async def test_where_app_passwords_are_required_the_ordinary_one_reads_like_a_wrong_one() -> None:
    house = await House().furnish()
    text = furnish_app(house)
    house.provider.state.maildrops[house.key].policy["app_passwords"] = "required"
    assert await cause_of(house, SECRET) == "the policy wants an app password"
    await open_by(house, text)


@pytest.mark.parametrize(
    ("narrowing", "mechanism", "client"),
    [({"networks": ("10.0.0.0/8",)}, "PLAIN", "192.0.2.1"), ({"mechanisms": ("LOGIN",)}, "PLAIN", "10.0.0.1")],
)
async def test_an_app_password_may_be_allowed_less_than_the_ordinary_one(
    narrowing: Mapping[str, PolicyValue], mechanism: str, client: str
) -> None:
    house = await House().furnish()
    text = furnish_app(house, narrowing)
    assert "does not allow" in await cause_of(house, text, mechanism, client)
    await open_by(house, SECRET, mechanism, client)


async def test_an_app_password_is_never_allowed_more_than_its_maildrop() -> None:
    house = await House().furnish()
    text = furnish_app(house, {"networks": ("10.0.0.0/8",)})
    house.provider.state.maildrops[house.key].policy["networks"] = ("10.1.0.0/16",)
    assert "does not allow 10.2.0.1" in await cause_of(house, text, client="10.2.0.1")
    held = await open_by(house, text, client="10.1.0.1")
    assert held.policy.networks == ("10.1.0.0/16",)


async def test_what_binds_the_session_is_the_narrowed_policy() -> None:
    house = await House().furnish()
    text = furnish_app(house, {"networks": ("192.0.2.0/24",)})
    assert (await open_by(house, text)).policy.networks == ("192.0.2.0/24",)


@pytest.mark.parametrize(("maildrop", "app", "bound"), [("remove", "refuse", "refuse"), ("refuse", "remove", "refuse")])
async def test_an_app_password_without_dele_removes_nothing(maildrop: str, app: str, bound: str) -> None:
    house = await House().furnish()
    text = furnish_app(house, {"dele": app})
    house.provider.state.maildrops[house.key].policy["dele"] = maildrop
    assert (await open_by(house, text)).policy.dele == bound


async def test_g11_a_suspended_app_password_opens_nothing() -> None:
    house = await House().furnish()
    text = furnish_app(house)
    house.provider.state.credentials[-1].status = "suspended"
    assert await cause_of(house, text) == "no credential matches"


@pytest.mark.parametrize("mechanisms", [("SCRAM-SHA-256",), ("SCRAM-SHA-256-PLUS", "OAUTHBEARER", "EXTERNAL")])
def test_an_app_password_that_no_mechanism_of_its_own_takes_is_not_made(mechanisms: tuple[str, ...]) -> None:
    with pytest.raises(Refusal, match="none that takes an app password: these do, USER, PLAIN, LOGIN") as refused:
        Passwords(MemoryPasswordHashes(), str, SetClock()).app("phone", {"mechanisms": mechanisms})
    assert refused.value.reason is Reason.INVALID


@pytest.mark.parametrize("narrowing", [{"quota_octets": 1}, {"pop3": False}, {"networks": ("ten",)}, {"x": 1}])
def test_an_app_password_sets_only_what_narrows(narrowing: Mapping[str, PolicyValue]) -> None:
    with pytest.raises(Refusal) as refused:
        Passwords(MemoryPasswordHashes(), str, SetClock()).app("phone", narrowing)
    assert refused.value.reason is Reason.INVALID
