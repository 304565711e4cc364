"""The directory, in memory and on Postgres: names, aliases, catch-alls, status and policy. R34, R36; G10, G11, G13.

RFC 2449 §6.5 and §6.7: the largest delay and the smallest retention are announced before login.
"""

from datetime import UTC, datetime, timedelta

import pytest

from service.model.address import parse_address
from service.model.policy import Announced, Policy
from service.model.refusal import Reason, Refusal
from tests.stores.worlds import Secret, World, deliver, message, one_maildrop


async def resolved(world: World, address: str) -> tuple[str, str]:
    found = await world.directory.resolve(parse_address(address))
    return found.address, found.delivered_to


async def refusal(world: World, address: str) -> Reason:
    with pytest.raises(Refusal) as refused:
        await world.directory.resolve(parse_address(address))
    return refused.value.reason


async def test_a_name_finds_its_account_with_tenant_policy_and_credentials(world: World) -> None:
    key = await one_maildrop(world, {"login_delay": 7, "quota_octets": 5_000_000_000})
    await world.credential(key, Secret("verifier", label="phone"))
    account = await world.directory.find("alice@acme.example")
    assert account is not None
    assert (account.key, account.tenant, account.address, account.active) == (key, "acme", "alice@acme.example", True)
    assert account.policy == Policy(login_delay=7, quota_octets=5_000_000_000)
    assert [(c.verifier, c.label, c.kind) for c in account.credentials] == [("verifier", "phone", "password")]


async def test_a_name_is_normalised_before_it_is_looked_up(world: World) -> None:
    tenant = await world.tenant("acme")
    await world.domain(tenant, "xn--bcher-kva.example")
    key = await world.maildrop(tenant, "bücher@xn--bcher-kva.example")
    account = await world.directory.find("BU\u0308CHER@bücher.EXAMPLE")
    assert account is not None
    assert account.key == key


@pytest.mark.parametrize(
    "name",
    [
        *("bob@acme.example", "alice@other.example", "alice", "", "alice@", "@acme.example", "alice+tag@acme.example"),
        *("x' OR 1=1--", "*)(uid=*", "../../etc", "a\x00b@acme.example", "a\x1b[2J@acme.example", "a" * 300),
    ],
)
async def test_an_unknown_or_malformed_name_finds_nobody(world: World, name: str) -> None:
    await one_maildrop(world)
    assert await world.directory.find(name) is None


async def test_an_alias_is_no_login_name(world: World) -> None:
    key = await one_maildrop(world)
    await world.alias(key, "postmaster@acme.example")
    assert await world.directory.find("postmaster@acme.example") is None


async def test_a_suspended_maildrop_tenant_or_domain_is_found_inactive(world: World) -> None:
    suspended = await world.tenant("suspended", status="suspended")
    active = await world.tenant("active")
    await world.domain(suspended, "a.example")
    await world.domain(active, "b.example", status="suspended")
    await world.domain(active, "c.example")
    await world.maildrop(suspended, "u@a.example")
    await world.maildrop(active, "u@b.example")
    await world.maildrop(active, "u@c.example", status="suspended")
    accounts = [await world.directory.find(f"u@{d}.example") for d in "abc"]
    assert [a and a.active for a in accounts] == [False, False, False]
    assert [await refusal(world, f"u@{d}.example") for d in "abc"] == [Reason.SUSPENDED] * 3


async def test_a_removed_maildrop_is_unknown_and_its_address_is_free(world: World) -> None:
    key = await one_maildrop(world)
    await world.set_status(key, "removed")
    assert await world.directory.find("alice@acme.example") is None
    assert await refusal(world, "alice@acme.example") is Reason.NO_RECIPIENT
    again = await world.maildrop(key.tenant_id, "alice@acme.example")
    account = await world.directory.find("alice@acme.example")
    assert account is not None
    assert account.key == again != key


async def test_only_credentials_that_are_active_and_in_date_are_brought(world: World) -> None:
    key = await one_maildrop(world)
    now = datetime.now(UTC)
    await world.credential(key, Secret("expired", "1", expires=now - timedelta(seconds=1)))
    await world.credential(key, Secret("suspended", "2", status="suspended"))
    await world.credential(key, Secret("in-date", "3", expires=now + timedelta(hours=1)))
    await world.credential(key, Secret("lasting", "4"))
    account = await world.directory.find("alice@acme.example")
    assert account is not None
    assert {c.verifier for c in account.credentials} == {"in-date", "lasting"}


async def test_credentials_of_another_maildrop_are_not_brought(world: World) -> None:
    key = await one_maildrop(world)
    other = await world.maildrop(key.tenant_id, "bob@acme.example")
    await world.credential(other, Secret("bob's"))
    account = await world.directory.find("alice@acme.example")
    assert account is not None
    assert account.credentials == ()


async def test_a_maildrop_overrides_its_tenants_policy_key_by_key(world: World) -> None:
    tenant = await world.tenant("acme", {"login_delay": 60, "expire_days": 30, "quota_messages": 5})
    await world.domain(tenant, "acme.example")
    await world.maildrop(tenant, "alice@acme.example", {"login_delay": 10, "quota_messages": None})
    account = await world.directory.find("alice@acme.example")
    assert account is not None
    assert account.policy == Policy(login_delay=10, expire_days=30)


async def test_words_and_switches_of_a_policy_come_back_as_they_were_set(world: World) -> None:
    tenant = await world.tenant("acme", {"pop3": False, "networks": ("10.0.0.0/8",)})
    await world.domain(tenant, "acme.example")
    await world.maildrop(tenant, "alice@acme.example", {"pop3": True, "mechanisms": ("USER", "PLAIN")})
    account = await world.directory.find("alice@acme.example")
    assert account is not None
    assert account.policy == Policy(mechanisms=("USER", "PLAIN"), networks=("10.0.0.0/8",))


async def test_an_address_resolves_to_its_maildrop_and_the_tag_is_ignored(world: World) -> None:
    await one_maildrop(world)
    assert await resolved(world, "alice@acme.example") == ("alice@acme.example", "alice@acme.example")
    assert await resolved(world, "Alice+Lists@ACME.example") == ("alice@acme.example", "alice@acme.example")


async def test_an_alias_resolves_to_its_maildrop(world: World) -> None:
    key = await one_maildrop(world)
    await world.alias(key, "sales@acme.example")
    assert await resolved(world, "sales+x@acme.example") == ("alice@acme.example", "alice@acme.example")


async def test_a_catch_all_takes_what_no_maildrop_or_alias_does_and_keeps_the_address(world: World) -> None:
    key = await one_maildrop(world)
    bob = await world.maildrop(key.tenant_id, "bob@acme.example")
    await world.alias(key, "@acme.example")
    await world.alias(bob, "sales@acme.example")
    assert await resolved(world, "anyone+t@acme.example") == ("alice@acme.example", "anyone@acme.example")
    assert await resolved(world, "bob@acme.example") == ("bob@acme.example", "bob@acme.example")
    assert await resolved(world, "sales@acme.example") == ("bob@acme.example", "bob@acme.example")


async def test_a_catch_all_does_not_stand_in_for_a_suspended_maildrop(world: World) -> None:
    key = await one_maildrop(world)
    bob = await world.maildrop(key.tenant_id, "bob@acme.example", status="suspended")
    await world.alias(key, "@acme.example")
    await world.alias(bob, "sales@acme.example")
    assert await refusal(world, "bob@acme.example") is Reason.SUSPENDED
    assert await refusal(world, "sales@acme.example") is Reason.SUSPENDED


async def test_an_alias_of_a_removed_maildrop_falls_through_to_the_catch_all(world: World) -> None:
    key = await one_maildrop(world)
    bob = await world.maildrop(key.tenant_id, "bob@acme.example")
    await world.alias(key, "@acme.example")
    await world.alias(bob, "sales@acme.example")
    await world.set_status(bob, "removed")
    assert await resolved(world, "sales@acme.example") == ("alice@acme.example", "sales@acme.example")


async def test_an_address_of_no_domain_here_is_no_recipient(world: World) -> None:
    key = await one_maildrop(world)
    await world.alias(key, "@acme.example")
    assert await refusal(world, "alice@other.example") is Reason.NO_RECIPIENT


async def test_the_same_local_part_in_two_tenants_leads_to_two_maildrops(world: World) -> None:
    acme, zeta = await world.tenant("acme"), await world.tenant("zeta")
    await world.domain(acme, "acme.example")
    await world.domain(zeta, "zeta.example")
    keys = [await world.maildrop(acme, "a@acme.example"), await world.maildrop(zeta, "a@zeta.example")]
    found = [await world.directory.resolve(parse_address(f"a@{t}.example")) for t in ("acme", "zeta")]
    assert [f.key for f in found] == keys
    assert [f.tenant for f in found] == ["acme", "zeta"]


@pytest.mark.parametrize("policy", [{"quota_messages": 2}, {"quota_octets": 2000}, {"quota_octets": 1999}])
async def test_a_full_maildrop_is_refused_at_the_recipient_already(world: World, policy: dict[str, int | None]) -> None:
    tenant = await world.tenant("acme")
    await world.domain(tenant, "acme.example")
    key = await world.maildrop(tenant, "alice@acme.example", policy)
    assert await resolved(world, "alice@acme.example") == ("alice@acme.example", "alice@acme.example")
    await deliver(world, key, message(1000), message(999))
    if policy == {"quota_octets": 2000}:
        await deliver(world, key, message(1))
    assert await refusal(world, "alice@acme.example") is Reason.OVER_QUOTA


async def test_nothing_is_announced_of_an_empty_service(world: World) -> None:
    assert await world.directory.announced() == Announced()


async def test_one_policy_for_all_is_announced_as_it_is(world: World) -> None:
    await one_maildrop(world, {"login_delay": 30, "expire_days": 60})
    assert await world.directory.announced() == Announced(30, False, 60, False)


async def test_the_largest_delay_and_the_smallest_retention_are_announced_as_varying(world: World) -> None:
    key = await one_maildrop(world, {"login_delay": 30, "expire_days": 60})
    await world.maildrop(key.tenant_id, "bob@acme.example", {"login_delay": 90, "expire_days": 14})
    assert await world.directory.announced() == Announced(90, True, 14, True)


async def test_retention_varies_when_only_some_mail_is_kept_for_ever(world: World) -> None:
    await world.tenant("acme", {"expire_days": 60})
    await world.tenant("zeta")
    assert await world.directory.announced() == Announced(0, False, 60, True)


async def test_a_removed_tenants_policy_is_not_announced(world: World) -> None:
    await world.tenant("acme", {"login_delay": 60, "expire_days": 1}, status="removed")
    await world.tenant("zeta", {"login_delay": 5})
    assert await world.directory.announced() == Announced(5, False, None, False)


async def test_the_announced_retention_is_the_smaller_of_the_two(world: World) -> None:
    key = await one_maildrop(world, {"expire_days": 60, "retrieved_days": 60})
    assert await world.directory.announced() == Announced(0, False, 60, False)
    await world.maildrop(key.tenant_id, "bob@acme.example", {"retrieved_days": 0})
    assert await world.directory.announced() == Announced(0, False, 0, True)
