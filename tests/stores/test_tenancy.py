"""The ports of provisioning, one suite for memory and Postgres.

What staff do is seen through the same eyes as clients and deliveries have: the directory, the index, the sweep.
On Postgres staff's acts run with a login of the group poplar_api, so that its grants are proved sufficient.
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit
from uuid import UUID, uuid4

import pytest

from service.mail.ports import Directory, MessageIndex, Sweepable
from service.mail.tenancy import Act, Page, Tenancy
from service.model.account import Account, Status
from service.model.address import parse_address
from service.model.message import Blob, NewMessage
from service.model.policy_table import POLICY_NAMES, default_of
from service.model.refusal import Reason, Refusal
from service.model.tenancy import NewCredential, Origin, PolicyChange, RemovedMessage
from service.stores.memory.directory import MemoryDirectory
from service.stores.memory.index import MemoryMessageIndex
from service.stores.memory.state import MemoryState
from service.stores.memory.sweep import MemorySweepable
from service.stores.memory.tenancy import memory_tenancy
from service.stores.postgres.database import Database
from service.stores.postgres.directory import PostgresDirectory
from service.stores.postgres.index import PostgresMessageIndex
from service.stores.postgres.logins import create_login
from service.stores.postgres.sweep import PostgresSweepable
from service.stores.postgres.tenancy import postgres_tenancy

ADA = parse_address("ada@acme.example")
BOB = parse_address("bob@acme.example")
ACME = Act("tester", "acme")
OTHER = Act("tester", "other")
WEEK = timedelta(days=7)
FENCE = b"f" * 16


@dataclass(frozen=True)
class World:
    tenancy: Tenancy
    directory: Directory
    index: MessageIndex
    sweepable: Sweepable

    async def account(self, name: str = "ada@acme.example") -> Account:
        found = await self.directory.find(name)
        assert found is not None
        return found

    async def deliver(self, name: str = "ada@acme.example", count: int = 1) -> list[UUID]:
        recipient = await self.directory.resolve(parse_address(name))
        arrivals = [NewMessage(uuid4(), blob(), datetime.now(UTC), b"Delivered-To: x\r\n") for _ in range(count)]
        assert not any(await self.index.append([(recipient, arrival) for arrival in arrivals]))
        return [arrival.unique_id for arrival in arrivals]


def blob() -> Blob:
    return Blob(f"t/2026/01/02/{uuid4().hex}", 100, 40, False, b"h" * 32)


@pytest.fixture(params=["memory", "postgres"])
def dsn(request: pytest.FixtureRequest) -> str | None:
    if request.param == "memory":
        return None
    migrated: str = request.getfixturevalue("migrated_dsn")
    return migrated


@pytest.fixture
async def world(dsn: str | None) -> AsyncIterator[World]:
    if dsn is None:
        state = MemoryState()
        yield World(memory_tenancy(state), MemoryDirectory(state), MemoryMessageIndex(state), MemorySweepable(state))
        return
    await create_login(dsn, "clerk", "clerk", "poplar_api")
    address = urlsplit(dsn)
    clerks = Database(address._replace(netloc=f"clerk:clerk@{address.hostname}:{address.port}").geturl())
    owners = Database(dsn)
    await clerks.open()
    await owners.open()
    yield World(
        postgres_tenancy(clerks), PostgresDirectory(owners), PostgresMessageIndex(owners), PostgresSweepable(owners)
    )
    await clerks.close()
    await owners.close()


@pytest.fixture
async def tenancy(world: World) -> Tenancy:
    """Acme with the domain acme.example and Ada's maildrop; another tenant with nothing."""
    tenancy = world.tenancy
    await tenancy.tenants.create(ACME, {})
    await tenancy.tenants.create(OTHER, {})
    await tenancy.domains.create(ACME, "acme.example")
    await tenancy.maildrops.create(ACME, ADA, {})
    return tenancy


def refused(reason: Reason) -> "pytest.RaisesExc[Refusal]":
    return pytest.raises(Refusal, check=lambda refusal: refusal.reason is reason)


def password(label: str = "main", verifier: str = "v") -> NewCredential:
    return NewCredential(label, "password", verifier)


async def test_a_tenant_is_found_as_it_was_created(world: World) -> None:
    made = await world.tenancy.tenants.create(ACME, {"login_delay": 60})
    assert made.policy == {"login_delay": 60}
    assert made.status is Status.ACTIVE
    assert await world.tenancy.tenants.find("acme") == made


async def test_a_tenants_name_is_taken_once(tenancy: Tenancy) -> None:
    with refused(Reason.EXISTS):
        await tenancy.tenants.create(ACME, {})


async def test_a_domain_belongs_to_one_tenant_of_the_whole_service(tenancy: Tenancy) -> None:
    with refused(Reason.EXISTS):
        await tenancy.domains.create(OTHER, "acme.example")
    with refused(Reason.EXISTS):
        await tenancy.domains.create(ACME, "acme.example")


async def test_a_domain_needs_a_tenant(world: World) -> None:
    with refused(Reason.NOT_FOUND):
        await world.tenancy.domains.create(ACME, "acme.example")


async def test_a_maildrop_stands_in_one_of_its_tenants_domains(tenancy: Tenancy) -> None:
    with refused(Reason.NOT_FOUND):
        await tenancy.maildrops.create(OTHER, BOB, {})
    with refused(Reason.NOT_FOUND):
        await tenancy.maildrops.create(ACME, parse_address("ada@nowhere.example"), {})


async def test_an_address_is_taken_once_by_maildrop_or_alias(tenancy: Tenancy) -> None:
    with refused(Reason.EXISTS):
        await tenancy.maildrops.create(ACME, ADA, {})
    with refused(Reason.EXISTS):
        await tenancy.aliases.create(ACME, ADA, ADA)
    await tenancy.aliases.create(ACME, BOB, ADA)
    with refused(Reason.EXISTS):
        await tenancy.aliases.create(ACME, BOB, ADA)
    with refused(Reason.EXISTS):
        await tenancy.maildrops.create(ACME, BOB, {})


async def test_two_at_once_do_not_take_one_address(tenancy: Tenancy) -> None:
    outcomes = await asyncio.gather(
        tenancy.maildrops.create(ACME, BOB, {}),
        tenancy.aliases.create(ACME, BOB, ADA),
        tenancy.maildrops.create(ACME, BOB, {}),
        tenancy.aliases.create(ACME, BOB, ADA),
        return_exceptions=True,
    )
    refusals = [outcome for outcome in outcomes if isinstance(outcome, Refusal)]
    assert [refusal.reason for refusal in refusals] == [Reason.EXISTS] * 3


async def test_no_tenant_sees_or_changes_anothers_maildrop(tenancy: Tenancy) -> None:
    """G10."""
    assert await tenancy.maildrops.find("other", ADA) is None
    assert await tenancy.maildrops.page("other", Page()) == []
    for attempt in (
        tenancy.maildrops.set_status(OTHER, ADA, Status.SUSPENDED),
        tenancy.maildrops.set_policy(OTHER, ADA, PolicyChange({"login_delay": 1})),
        tenancy.maildrops.remove(OTHER, ADA),
        tenancy.credentials.create(OTHER, ADA, password()),
        tenancy.credentials.of("other", ADA),
        tenancy.domains.remove(OTHER, "acme.example", True),
        tenancy.aliases.create(OTHER, BOB, ADA),
        tenancy.removed_messages.newest("other", ADA, WEEK, 10),
    ):
        with refused(Reason.NOT_FOUND):
            await attempt


@pytest.mark.parametrize("level", ["tenant", "domain", "maildrop"])
async def test_a_suspension_binds_the_next_login_and_delivery_until_it_ends(
    world: World, tenancy: Tenancy, level: str
) -> None:
    """G11."""

    async def turn(status: Status) -> None:
        if level == "tenant":
            await tenancy.tenants.set_status(ACME, status)
        elif level == "domain":
            await tenancy.domains.set_status(ACME, "acme.example", status)
        else:
            await tenancy.maildrops.set_status(ACME, ADA, status)

    assert (await world.account()).active
    await turn(Status.SUSPENDED)
    assert not (await world.account()).active
    with refused(Reason.SUSPENDED):
        await world.directory.resolve(ADA)
    await turn(Status.ACTIVE)
    assert (await world.account()).active


async def test_a_credential_opens_until_it_is_suspended_or_removed(world: World, tenancy: Tenancy) -> None:
    """G11."""
    made = await tenancy.credentials.create(ACME, ADA, password())
    assert [c.credential_id for c in (await world.account()).credentials] == [made.credential_id]
    await tenancy.credentials.set_status(ACME, ADA, "main", Status.SUSPENDED)
    assert (await world.account()).credentials == ()
    await tenancy.credentials.set_status(ACME, ADA, "main", Status.ACTIVE)
    assert len((await world.account()).credentials) == 1
    await tenancy.credentials.remove(ACME, ADA, "main")
    assert (await world.account()).credentials == ()


async def test_a_changed_password_binds_the_next_login(world: World, tenancy: Tenancy) -> None:
    """G11."""
    old = await tenancy.credentials.create(ACME, ADA, password(verifier="old"))
    await tenancy.credentials.replace(ACME, ADA, password(verifier="new"))
    [new] = (await world.account()).credentials
    assert (new.verifier, new.credential_id == old.credential_id) == ("new", False)


async def test_a_changed_password_ends_when_the_old_one_did_unless_it_says_when(tenancy: Tenancy) -> None:
    soon, later = (datetime(2100, month, 1, tzinfo=UTC) for month in (1, 2))
    await tenancy.credentials.create(ACME, ADA, NewCredential("main", "password", "v", soon))
    for given, end in ((None, soon), (later, later), (None, later)):
        await tenancy.credentials.change(ACME, ADA, NewCredential("main", "password", f"w {given}", given, "keys"))
        assert [view.expires for view in await tenancy.credentials.of("acme", ADA)] == [end]
        told = (await tenancy.audit.newest("acme", 1))[0]
        expected = {"label": "main", "kind": "password", "expires": end.isoformat()}
        assert (told.action, dict(told.details)) == ("credential.replace", expected)
    await tenancy.credentials.replace(ACME, ADA, password())
    assert [view.expires for view in await tenancy.credentials.of("acme", ADA)] == [None]


async def test_no_password_is_changed_to_one_that_opens_nothing(tenancy: Tenancy) -> None:
    past, later = datetime(2020, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
    await tenancy.credentials.create(ACME, ADA, NewCredential("main", "password", "v", past))
    before = await tenancy.credentials.of("acme", ADA)
    with pytest.raises(Refusal, match=r"main of ada@acme\.example ended at 2020-01-01T00:00:00") as refusal:
        await tenancy.credentials.change(ACME, ADA, password(verifier="w"))
    assert refusal.value.reason is Reason.INVALID
    assert await tenancy.credentials.of("acme", ADA) == before
    await tenancy.credentials.change(ACME, ADA, NewCredential("main", "password", "w", later))
    assert [view.expires for view in await tenancy.credentials.of("acme", ADA)] == [later]


async def test_no_suspended_password_is_changed_unless_that_is_known(tenancy: Tenancy) -> None:
    await tenancy.credentials.create(ACME, ADA, password())
    await tenancy.credentials.set_status(ACME, ADA, "main", Status.SUSPENDED)
    before = await tenancy.credentials.of("acme", ADA)
    with pytest.raises(Refusal, match=r"main of ada@acme\.example is suspended: resume it first") as refusal:
        await tenancy.credentials.change(ACME, ADA, password(verifier="w"))
    assert refusal.value.reason is Reason.INVALID
    assert await tenancy.credentials.of("acme", ADA) == before
    await tenancy.credentials.change(ACME, ADA, password(verifier="w"), suspended=True)
    [after] = await tenancy.credentials.of("acme", ADA)
    assert (after.status, after.credential_id == before[0].credential_id) == (Status.SUSPENDED, False)


async def test_a_change_of_the_password_binds_the_next_login(world: World, tenancy: Tenancy) -> None:
    """G11."""
    await tenancy.credentials.create(ACME, ADA, NewCredential("main", "password", "v", None, "keys"))
    await tenancy.credentials.change(ACME, ADA, password(verifier="w"))
    assert [(c.verifier, c.scram) for c in (await world.account()).credentials] == [("w", None)]


async def test_no_change_frees_an_app_password_of_its_limits(tenancy: Tenancy) -> None:
    made = NewCredential("phone", "app", "digest", credential_id=UUID(int=7), policy={"dele": "keep"})
    view = await tenancy.credentials.create(ACME, ADA, made)
    with pytest.raises(Refusal, match="is an app password") as refusal:
        await tenancy.credentials.change(ACME, ADA, password("phone"))
    assert refusal.value.reason is Reason.INVALID
    assert await tenancy.credentials.of("acme", ADA) == [view]


async def test_the_keys_for_scram_come_and_go_with_the_password_they_are_of(world: World, tenancy: Tenancy) -> None:
    """G11; RFC 5803 §1."""
    await tenancy.credentials.create(ACME, ADA, NewCredential("main", "password", "v", None, "keys"))
    assert [c.scram for c in (await world.account()).credentials] == ["keys"]
    await tenancy.credentials.replace(ACME, ADA, NewCredential("main", "password", "w", None, "other keys"))
    assert [(c.verifier, c.scram) for c in (await world.account()).credentials] == [("w", "other keys")]
    await tenancy.credentials.replace(ACME, ADA, password(verifier="x"))
    assert [(c.verifier, c.scram) for c in (await world.account()).credentials] == [("x", None)]


async def test_an_expired_credential_opens_nothing(world: World, tenancy: Tenancy) -> None:
    past = datetime.now(UTC) - timedelta(minutes=1)
    await tenancy.credentials.create(ACME, ADA, NewCredential("old phone", "password", "v", past))
    assert (await world.account()).credentials == ()
    assert [(c.label, c.expires) for c in await tenancy.credentials.of("acme", ADA)] == [("old phone", past)]


async def test_a_label_is_taken_once_in_a_maildrop(tenancy: Tenancy) -> None:
    await tenancy.credentials.create(ACME, ADA, password("phone"))
    await tenancy.credentials.create(ACME, ADA, password("laptop"))
    with refused(Reason.EXISTS):
        await tenancy.credentials.create(ACME, ADA, password("phone"))
    assert [c.label for c in await tenancy.credentials.of("acme", ADA)] == ["laptop", "phone"]


async def test_an_absent_credential_is_not_found(tenancy: Tenancy) -> None:
    for attempt in (
        tenancy.credentials.replace(ACME, ADA, password()),
        tenancy.credentials.change(ACME, ADA, password()),
        tenancy.credentials.set_status(ACME, ADA, "main", Status.SUSPENDED),
        tenancy.credentials.remove(ACME, ADA, "main"),
    ):
        with refused(Reason.NOT_FOUND):
            await attempt


async def test_a_maildrops_policy_goes_before_its_tenants_value_by_value(world: World, tenancy: Tenancy) -> None:
    await tenancy.tenants.set_policy(ACME, PolicyChange({"login_delay": 60, "quota_octets": 1000, "expire_days": 30}))
    await tenancy.maildrops.set_policy(ACME, ADA, PolicyChange({"quota_octets": None, "expire_days": 10}))
    view = await tenancy.maildrops.find("acme", ADA)
    assert view is not None
    assert {name: (s.value, s.origin) for name, s in view.settings.items()} == {
        **{name: (default_of(name), Origin.DEFAULT) for name in POLICY_NAMES},
        "login_delay": (60, Origin.TENANT),
        "expire_days": (10, Origin.MAILDROP),
        "quota_octets": (None, Origin.MAILDROP),
    }
    policy = (await world.account()).policy
    assert (policy.login_delay, policy.expire_days, policy.quota_octets) == (60, 10, None)


async def test_an_inherited_value_is_the_tenants_again(tenancy: Tenancy) -> None:
    await tenancy.tenants.set_policy(ACME, PolicyChange({"quota_messages": 5}))
    await tenancy.maildrops.set_policy(ACME, ADA, PolicyChange({"quota_messages": 9, "login_delay": 3}))
    await tenancy.maildrops.set_policy(ACME, ADA, PolicyChange(inherited=frozenset({"quota_messages"})))
    view = await tenancy.maildrops.find("acme", ADA)
    assert view is not None
    assert view.policy == {"login_delay": 3}
    assert view.settings["quota_messages"].value == 5


async def test_a_removed_maildrop_opens_nothing_and_takes_nothing(world: World, tenancy: Tenancy) -> None:
    await tenancy.credentials.create(ACME, ADA, password())
    await tenancy.aliases.create(ACME, BOB, ADA)
    await tenancy.domains.set_catch_all(ACME, "acme.example", ADA)
    await world.deliver(count=3)
    assert await tenancy.maildrops.remove(ACME, ADA) == 3
    assert await world.directory.find("ada@acme.example") is None
    for name in (ADA, BOB, parse_address("anyone@acme.example")):
        with refused(Reason.NO_RECIPIENT):
            await world.directory.resolve(name)
    assert await tenancy.maildrops.find("acme", ADA) is None
    assert await tenancy.aliases.page("acme", Page()) == []


async def test_a_removed_maildrops_blobs_stay_named_until_the_sweep_forgets_them(
    world: World, tenancy: Tenancy
) -> None:
    await world.deliver(count=2)
    await tenancy.maildrops.remove(ACME, ADA)
    later = datetime.now(UTC) + timedelta(days=1)
    expired = await world.sweepable.removed_before(later, 10)
    keys = [e.blob_key for e in expired]
    assert await world.sweepable.named(keys) == set(keys)
    assert sorted(await world.sweepable.release_blobs(expired)) == sorted(keys)
    await world.sweepable.forget(expired)
    assert await world.sweepable.named(keys) == set()


async def test_a_maildrop_created_anew_shares_nothing_with_the_removed_one(world: World, tenancy: Tenancy) -> None:
    """G7: its unique-ids can't repeat, and the old session's fence means nothing in it."""
    await tenancy.credentials.create(ACME, ADA, password())
    await world.deliver(count=2)
    old = await world.account()
    await world.index.open(old.key, FENCE)
    await tenancy.maildrops.remove(ACME, ADA)
    made = await tenancy.maildrops.create(ACME, ADA, {})
    new = await world.account()
    assert new.key.maildrop_id == made.maildrop_id != old.key.maildrop_id
    assert new.credentials == ()
    assert (await world.index.open(new.key, b"n" * 16)).messages == 0
    with refused(Reason.LOST):
        await world.index.remove(new.key, FENCE, [1])


async def test_a_session_in_a_removed_maildrop_still_lists_what_it_froze(world: World, tenancy: Tenancy) -> None:
    """G9."""
    await world.deliver(count=2)
    key = (await world.account()).key
    drop = await world.index.open(key, FENCE)
    await tenancy.maildrops.remove(ACME, ADA)
    assert len(await world.index.listing(key, drop)) == 2
    await world.index.remove(key, FENCE, [1])


async def test_a_tenant_that_still_has_maildrops_is_removed_only_with_them(world: World, tenancy: Tenancy) -> None:
    await world.deliver()
    with refused(Reason.EXISTS):
        await tenancy.tenants.remove(ACME, cascade=False)
    assert (await world.account()).active
    await tenancy.tenants.remove(ACME, cascade=True)
    assert await tenancy.tenants.find("acme") is None
    assert await world.directory.find("ada@acme.example") is None
    assert await tenancy.domains.find("acme.example") is None


async def test_a_removed_tenants_names_are_free_at_once(world: World, tenancy: Tenancy) -> None:
    before = await tenancy.tenants.find("acme")
    await world.deliver()
    await tenancy.tenants.remove(ACME, cascade=True)
    after = await tenancy.tenants.create(ACME, {})
    assert before is not None
    assert after.tenant_id != before.tenant_id
    await tenancy.domains.create(OTHER, "acme.example")
    await tenancy.maildrops.create(OTHER, ADA, {})
    assert (await world.account()).tenant == "other"
    assert (await world.index.open((await world.account()).key, FENCE)).messages == 0


async def test_a_removed_tenant_is_gone_for_good_once_the_sweep_saw_to_its_messages(
    world: World, tenancy: Tenancy
) -> None:
    await world.deliver()
    await tenancy.tenants.remove(ACME, cascade=True)
    assert (await tenancy.audit.newest("acme", 1))[0].action == "tenant.remove"
    await world.sweepable.forget(await world.sweepable.removed_before(datetime.now(UTC) + timedelta(days=1), 10))
    with refused(Reason.NOT_FOUND):
        await tenancy.audit.newest("acme", 1)


async def test_a_removed_tenant_is_known_to_the_sweep_for_as_long_as_the_audit_tells_of_it(
    world: World, tenancy: Tenancy
) -> None:
    """G1: what a tenant that was never here has stored is another's."""
    created = [await tenancy.tenants.find(name) for name in ("acme", "other")]
    acme, other = [each.tenant_id for each in created if each]
    await world.deliver()
    later = datetime.now(UTC) + timedelta(days=1)
    for step in (None, tenancy.tenants.remove(ACME, cascade=True)):
        if step:
            await step
            await world.sweepable.forget(await world.sweepable.removed_before(later, 10))
        assert await world.sweepable.known([acme, other, uuid4()]) == {acme, other}
    await world.sweepable.forget_audit(later, 1000)
    assert await world.sweepable.known([acme, other]) == {other}


async def test_a_domain_that_is_still_used_is_removed_only_with_what_uses_it(world: World, tenancy: Tenancy) -> None:
    await tenancy.domains.create(ACME, "second.example")
    await tenancy.aliases.create(ACME, parse_address("ada@second.example"), ADA)
    for name in ("acme.example", "second.example"):
        with refused(Reason.EXISTS):
            await tenancy.domains.remove(ACME, name, cascade=False)
    await tenancy.domains.remove(ACME, "second.example", cascade=True)
    assert (await world.account()).active
    await tenancy.domains.remove(ACME, "acme.example", cascade=True)
    assert await world.directory.find("ada@acme.example") is None


async def test_a_removed_domain_comes_back_empty_to_its_tenant(world: World, tenancy: Tenancy) -> None:
    await world.deliver()
    await tenancy.domains.remove(ACME, "acme.example", cascade=True)
    view = await tenancy.domains.create(ACME, "acme.example")
    assert (view.tenant, view.status, view.catch_all) == ("acme", Status.ACTIVE, None)
    assert await tenancy.maildrops.page("acme", Page()) == []
    await tenancy.maildrops.create(ACME, ADA, {})
    assert (await world.account()).active


async def test_nothing_is_created_in_what_is_being_removed(world: World, tenancy: Tenancy) -> None:
    await tenancy.maildrops.remove(ACME, ADA)
    outcomes = await asyncio.gather(
        tenancy.tenants.remove(ACME, cascade=False),
        tenancy.maildrops.create(ACME, BOB, {}),
        tenancy.domains.create(ACME, "third.example"),
        return_exceptions=True,
    )
    alive = await tenancy.tenants.find("acme") is not None
    assert alive == isinstance(outcomes[0], Refusal)
    assert (await world.directory.find("bob@acme.example") is not None) == alive
    assert (await tenancy.domains.find("third.example") is not None) == alive


async def test_mail_for_unknown_local_parts_goes_to_the_catch_all(world: World, tenancy: Tenancy) -> None:
    await tenancy.domains.set_catch_all(ACME, "acme.example", ADA)
    view = await tenancy.domains.find("acme.example")
    assert view is not None
    assert view.catch_all == "ada@acme.example"
    assert (await world.directory.resolve(BOB)).address == "ada@acme.example"
    await tenancy.domains.set_catch_all(ACME, "acme.example", None)
    with refused(Reason.NO_RECIPIENT):
        await world.directory.resolve(BOB)


async def test_a_catch_all_is_no_alias_in_the_list(tenancy: Tenancy) -> None:
    await tenancy.domains.set_catch_all(ACME, "acme.example", ADA)
    await tenancy.aliases.create(ACME, BOB, ADA)
    assert [(a.alias, a.address) for a in await tenancy.aliases.page("acme", Page())] == [
        ("bob@acme.example", "ada@acme.example")
    ]


async def test_an_alias_delivers_until_it_is_removed(world: World, tenancy: Tenancy) -> None:
    await tenancy.aliases.create(ACME, BOB, ADA)
    assert (await world.directory.resolve(BOB)).address == "ada@acme.example"
    await tenancy.aliases.remove(ACME, BOB)
    with refused(Reason.NO_RECIPIENT):
        await world.directory.resolve(BOB)
    with refused(Reason.NOT_FOUND):
        await tenancy.aliases.remove(ACME, BOB)


async def test_pages_join_to_the_whole_in_order(tenancy: Tenancy) -> None:
    await tenancy.domains.create(ACME, "another.example")
    names = [f"user{n}@{domain}" for domain in ("acme.example", "another.example") for n in range(5)]
    for name in names:
        await tenancy.maildrops.create(ACME, parse_address(name), {})
    seen: list[str] = []
    while page := await tenancy.maildrops.page("acme", Page(seen[-1] if seen else "", 3)):
        assert len(page) <= 3
        seen += [view.address for view in page]
    assert seen == ["ada@acme.example", *names]
    assert [t.name for t in await tenancy.tenants.page(Page(limit=1))] == ["acme"]
    assert [t.name for t in await tenancy.tenants.page(Page("acme"))] == ["other"]
    assert [d.name for d in await tenancy.domains.page("acme", Page("acme.example"))] == ["another.example"]


async def test_usage_counts_what_is_there_and_not_what_was_removed(world: World, tenancy: Tenancy) -> None:
    await tenancy.maildrops.create(ACME, BOB, {})
    await world.deliver(count=2)
    await world.deliver("bob@acme.example")
    usage = await tenancy.tenants.usage("acme")
    assert (usage.domains, usage.maildrops, usage.messages, usage.octets) == (1, 2, 3, 3 * 117)
    await tenancy.maildrops.remove(ACME, ADA)
    usage = await tenancy.tenants.usage("acme")
    assert (usage.maildrops, usage.messages, usage.octets) == (1, 1, 117)


async def test_listed_messages_are_given_in_order_with_what_clients_know_of_them(
    world: World, tenancy: Tenancy
) -> None:
    delivered = await world.deliver(count=5)
    key = (await world.account()).key
    before = await world.index.open(key, FENCE)
    await world.index.remove(key, FENCE, [2])
    pages = tenancy.listed_messages
    first = await pages.page("acme", ADA, 0, 2)
    rest = await pages.page("acme", ADA, first[-1].message.sequence, 10)
    assert [each.message.sequence for each in (*first, *rest)] == [1, 3, 4, 5]
    assert [each.unique_id for each in (*first, *rest)] == [delivered[n].hex for n in (0, 2, 3, 4)]
    assert [each.message for each in first] == list((await world.index.locate(key, [1, 3])).values())
    assert not any(each.retrieved for each in first)
    assert await pages.page("acme", ADA, 5, 10) == []
    assert before.messages == 5
    with pytest.raises(Refusal) as refused:
        await pages.page("other", ADA, 0, 10)
    assert refused.value.reason is Reason.NOT_FOUND


async def test_a_restored_message_is_listed_as_a_new_one(world: World, tenancy: Tenancy) -> None:
    """G7: never under the unique-id that clients saw removed."""
    old, kept = await world.deliver(count=2)
    key = (await world.account()).key
    await world.index.open(key, FENCE)
    await world.index.remove(key, FENCE, [1])
    removed = await tenancy.removed_messages.newest("acme", ADA, WEEK, 10)
    assert [(m.unique_id, m.octets) for m in removed] == [(old, 117)]
    assert await tenancy.removed_messages.restore(ACME, ADA, [old], WEEK) == 1
    listing = await world.index.listing(key, await world.index.open(key, FENCE))
    assert list(listing.sequences) == [2, 3]
    assert listing.unique_id(1) == kept.hex
    assert listing.unique_id(2) not in (old.hex, kept.hex)
    located = await world.index.locate(key, [1, 3])
    assert located[1].blob == located[3].blob
    assert located[1].trace == located[3].trace


async def test_removed_messages_are_given_page_by_page_first_removed_first(world: World, tenancy: Tenancy) -> None:
    delivered = await world.deliver(count=7)
    key = (await world.account()).key
    await world.index.open(key, FENCE)
    # Those of one removal share their moment.
    for sequences in ([4], [1, 2, 3], [5], [6]):
        await world.index.remove(key, FENCE, sequences)
    found: list[RemovedMessage] = []
    while rows := await tenancy.removed_messages.page("acme", ADA, WEEK, Page(found[-1].name if found else "", 2)):
        found += rows
    assert [each.unique_id for each in found][::4] == [delivered[3], delivered[4]]
    assert {each.unique_id for each in found} == set(delivered[:6])
    assert len(found) == 6
    assert found == sorted(found, key=lambda each: each.name)
    assert sorted(found, key=str) == sorted(await tenancy.removed_messages.newest("acme", ADA, WEEK, 10), key=str)
    for name in ("x", "2026-01-01 x", f"2026-01-01T00:00:00 {delivered[0]}"):
        with pytest.raises(Refusal) as refused:
            await tenancy.removed_messages.page("acme", ADA, WEEK, Page(name, 2))
        assert refused.value.reason is Reason.INVALID


async def test_a_message_is_restored_once(world: World, tenancy: Tenancy) -> None:
    [old] = await world.deliver()
    key = (await world.account()).key
    await world.index.open(key, FENCE)
    await world.index.remove(key, FENCE, [1])
    assert await tenancy.removed_messages.restore(ACME, ADA, [old], WEEK) == 1
    assert await tenancy.removed_messages.restore(ACME, ADA, [old], WEEK) == 0
    assert await tenancy.removed_messages.newest("acme", ADA, WEEK, 10) == []
    assert (await world.index.open(key, FENCE)).messages == 1


async def test_a_restored_messages_blob_survives_the_sweep_of_its_old_row(world: World, tenancy: Tenancy) -> None:
    [old] = await world.deliver()
    key = (await world.account()).key
    await world.index.open(key, FENCE)
    await world.index.remove(key, FENCE, [1])
    await tenancy.removed_messages.restore(ACME, ADA, [old], WEEK)
    expired = await world.sweepable.removed_before(datetime.now(UTC) + timedelta(days=1), 10)
    assert len(expired) == 1
    assert await world.sweepable.release_blobs(expired) == []


async def test_a_message_removed_too_long_ago_is_out_of_reach(world: World, tenancy: Tenancy) -> None:
    [old] = await world.deliver()
    key = (await world.account()).key
    await world.index.open(key, FENCE)
    await world.index.remove(key, FENCE, [1])
    assert await tenancy.removed_messages.newest("acme", ADA, timedelta(0), 10) == []
    assert await tenancy.removed_messages.restore(ACME, ADA, [old], timedelta(0)) == 0


async def test_a_listing_frozen_before_a_restore_stays_as_it_was(world: World, tenancy: Tenancy) -> None:
    """G9."""
    [old] = await world.deliver()
    key = (await world.account()).key
    drop = await world.index.open(key, FENCE)
    await world.index.remove(key, FENCE, [1])
    await tenancy.removed_messages.restore(ACME, ADA, [old], WEEK)
    listing = await world.index.listing(key, drop)
    assert list(listing.sequences) == [1]
    assert listing.unique_id(1) == old.hex


async def test_every_act_is_in_the_audit_with_who_did_it(world: World, tenancy: Tenancy) -> None:
    clerk = Act("clerk", "acme")
    await tenancy.tenants.set_policy(clerk, PolicyChange({"login_delay": 5}))
    await tenancy.domains.set_catch_all(clerk, "acme.example", ADA)
    await tenancy.aliases.create(clerk, BOB, ADA)
    await tenancy.credentials.create(clerk, ADA, password(verifier="a secret's verifier"))
    scram = NewCredential("main", "password", "a secret's verifier", None, "a secret's keys")
    await tenancy.credentials.replace(clerk, ADA, scram)
    await tenancy.maildrops.set_status(clerk, ADA, Status.SUSPENDED)
    await tenancy.removed_messages.restore(clerk, ADA, [uuid4()], WEEK)
    await tenancy.maildrops.remove(clerk, ADA)
    entries = await tenancy.audit.newest("acme", 8)
    assert {entry.actor for entry in entries} == {"clerk"}
    assert [(entry.action, entry.subject) for entry in reversed(entries)] == [
        ("tenant.policy", "acme"),
        ("domain.catch_all", "acme.example"),
        ("alias.create", "bob@acme.example"),
        ("credential.create", "ada@acme.example"),
        ("credential.replace", "ada@acme.example"),
        ("maildrop.status", "ada@acme.example"),
        ("maildrop.restore", "ada@acme.example"),
        ("maildrop.remove", "ada@acme.example"),
    ]
    assert "secret" not in repr(entries)
    assert await tenancy.audit.newest("other", 10) == await tenancy.audit.newest("other", 1)


async def test_a_refused_act_leaves_no_trace_in_the_audit(tenancy: Tenancy) -> None:
    before = await tenancy.audit.newest("acme", 100)
    with refused(Reason.EXISTS):
        await tenancy.tenants.remove(ACME, cascade=False)
    with refused(Reason.EXISTS):
        await tenancy.maildrops.create(ACME, ADA, {})
    assert await tenancy.audit.newest("acme", 100) == before


async def test_an_app_password_keeps_its_id_and_what_it_narrows_until_a_password_takes_its_label(
    world: World, tenancy: Tenancy
) -> None:
    own = UUID(int=7)
    narrowing = {"networks": ("10.0.0.0/8",)}
    made = NewCredential("phone", "app", "digest", credential_id=own, policy=narrowing)
    view = await tenancy.credentials.create(ACME, ADA, made)
    assert await tenancy.credentials.of("acme", ADA) == [view]
    [credential] = (await world.account()).credentials
    assert (credential.credential_id, credential.kind, credential.policy) == (own, "app", narrowing)
    await tenancy.credentials.replace(ACME, ADA, NewCredential("phone", "password", "v"))
    [credential] = (await world.account()).credentials
    assert (credential.kind, credential.policy) == ("password", {})
