"""What is declared and what there is: the steps between them, taken in memory and in a real Postgres."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import pytest

from service.mail.declared.applying import Applier
from service.mail.declared.planning import Plan
from service.mail.declared.wanted import (
    Secret,
    Unsaid,
    WantedCredential,
    WantedDomain,
    WantedMaildrop,
    WantedTenant,
)
from service.mail.passwords import Passwords
from service.mail.ports import Directory
from service.mail.tenancy import Act, Page, Tenancy
from service.model.account import Status
from service.model.address import parse_address
from service.model.refusal import Reason, Refusal
from service.model.saslprep import prepare
from service.model.tenancy import NewCredential, PolicyChange
from service.stores.memory.directory import MemoryDirectory
from service.stores.memory.passwords import MemoryPasswordHashes
from service.stores.memory.state import MemoryState
from service.stores.memory.tenancy import memory_tenancy
from service.stores.memory.units import MemoryUnits
from service.stores.postgres.database import Database
from service.stores.postgres.directory import PostgresDirectory
from service.stores.postgres.logins import create_login
from service.stores.postgres.tenancy import postgres_tenancy
from service.stores.postgres.units import PostgresUnits
from tests.mail.provider import SetClock

STAFF = Act("staff", "acme")
HASHES = MemoryPasswordHashes()


@dataclass
class World:
    """An applier, and the stores to look behind it."""

    applier: Applier
    tenancy: Tenancy
    directory: Directory

    async def apply(self, wanted: WantedTenant, *, prune: bool = False, reset: bool = False) -> list[str]:
        """What was done, a line a step."""
        wishes = await self.applier.wishes([wanted], prune, reset)
        plan = await self.applier.plan(wanted, wishes)
        return told(await self.applier.apply(wanted, wishes, plan, await self.applier.ready([plan])))

    async def opens(self, address: str, password: str) -> bool:
        """Whether a login with this password would pass."""
        account = await self.directory.find(address)
        assert account is not None
        return any([await HASHES.verify(each.verifier, password) for each in account.credentials])


def told(plan: Plan) -> list[str]:
    return [f"{step.kind.value} {step.what} {step.name}" for step in plan.steps]


@pytest.fixture(params=["memory", "postgres"])
def dsn(request: pytest.FixtureRequest) -> str | None:
    return str(request.getfixturevalue("migrated_dsn")) if request.param == "postgres" else None


@pytest.fixture
async def world(dsn: str | None) -> AsyncIterator[World]:
    passwords = Passwords(HASHES, prepare, SetClock())
    if dsn is None:
        state = MemoryState()
        directory = MemoryDirectory(state)
        yield World(Applier(MemoryUnits(state), directory, passwords, "apply:x"), memory_tenancy(state), directory)
        return
    await create_login(dsn, "clerk", "clerk", "poplar_api")
    address = urlsplit(dsn)
    database = Database(address._replace(netloc=f"clerk:clerk@{address.hostname}:{address.port}").geturl())
    await database.open()
    found = PostgresDirectory(database)
    yield World(Applier(PostgresUnits(database), found, passwords, "apply:x"), postgres_tenancy(database), found)
    await database.close()


def secret(text: str = "right horse", hashed: bool = False) -> WantedCredential:
    return WantedCredential(secret=Secret(lambda: text, hashed))


def maildrop(address: str, **parts: Any) -> tuple[str, WantedMaildrop]:
    if "aliases" in parts:
        parts["aliases"] = frozenset(map(parse_address, parts["aliases"]))
    return address, WantedMaildrop(parse_address(address), **parts)


def domain(name: str, **parts: Any) -> tuple[str, WantedDomain]:
    return name, WantedDomain(name, **parts)


ACME = WantedTenant(
    "acme",
    policy={"login_delay": 60},
    domains=dict([domain("acme.example", catch_all=parse_address("ada@acme.example")), domain("acme.test")]),
    maildrops=dict(
        [
            maildrop("ada@acme.example", aliases=["sales@acme.test"], credentials={"main": secret()}),
            maildrop("bob@acme.example", status=Status.SUSPENDED, policy={"quota_messages": 5}, aliases=[]),
        ]
    ),
)


def with_maildrops(*maildrops: tuple[str, WantedMaildrop]) -> WantedTenant:
    """Acme as it is, but for its maildrops."""
    return replace(ACME, maildrops=dict(maildrops))


@dataclass
class Counting:
    """Counts how often a secret was read."""

    reads: int = 0
    text: str = field(default="right horse", repr=False)

    def read(self) -> str:
        self.reads += 1
        return self.text


async def test_what_is_missing_is_made_in_an_order_in_which_it_can_be(world: World) -> None:
    assert await world.apply(ACME) == [
        "create tenant acme",
        "create domain acme.example",
        "create domain acme.test",
        "create maildrop ada@acme.example",
        "create credential main of ada@acme.example",
        "create maildrop bob@acme.example",
        "change maildrop bob@acme.example",
        "create alias sales@acme.test",
        "change domain acme.example",
    ]
    assert await world.opens("ada@acme.example", "right horse")
    bob = await world.tenancy.maildrops.find("acme", parse_address("bob@acme.example"))
    assert bob is not None
    assert (bob.status, bob.policy, bob.inherited) == (Status.SUSPENDED, {"quota_messages": 5}, {"login_delay": 60})
    found = await world.tenancy.domains.find("acme.example")
    assert found is not None
    assert found.catch_all == "ada@acme.example"


async def test_rules_for_new_names_leave_those_that_are_there(world: World) -> None:
    await world.apply(ACME)
    old, alias = (parse_address(f"{local}@acme.example") for local in ("so\u00adft", "hy\u00adphen"))
    await world.tenancy.maildrops.create(STAFF, old, {})
    await world.tenancy.aliases.create(STAFF, alias, old)
    there = maildrop(str(old), status=Status.SUSPENDED, aliases=[str(alias)])
    assert await world.apply(with_maildrops(there)) == [f"change maildrop {old}"]
    for new, why in (
        (maildrop("\u202eeve@acme.example"), "can be seen"),
        (maildrop("\ufffd@acme.example"), "could log in"),
        (maildrop("eve@acme.example", aliases=["\u202ee@acme.example"]), "can be seen"),
    ):
        with pytest.raises(Refusal, match=f"@acme.example: .*{why}") as refusal:
            await world.apply(with_maildrops(there, new))
        assert refusal.value.reason is Reason.INVALID


async def test_a_second_run_has_nothing_to_do_and_reads_no_secret(world: World) -> None:
    counting = Counting()
    armed = maildrop("ada@acme.example", credentials={"main": WantedCredential(secret=Secret(counting.read))})
    wanted = with_maildrops(armed)
    await world.apply(replace(wanted, domains=dict([domain("acme.example")])))
    audited = len(await world.tenancy.audit.newest("acme", 100))
    again = replace(wanted, domains=dict([domain("acme.example")]))
    assert await world.apply(again) == []
    assert await world.apply(again, prune=True) == []
    assert counting.reads == 1
    assert len(await world.tenancy.audit.newest("acme", 100)) == audited


async def test_looking_changes_nothing(world: World) -> None:
    plan = await world.applier.plan(ACME, await world.applier.wishes([ACME], prune=True, reset=False))
    assert len(plan.steps) == 9
    assert await world.tenancy.tenants.find("acme") is None


async def test_what_is_not_said_is_left_alone_even_with_pruning(world: World) -> None:
    await world.apply(ACME)
    await world.tenancy.tenants.set_policy(STAFF, PolicyChange({"expire_days": 9}))
    silent = WantedTenant("acme", domains=ACME.domains)
    assert await world.apply(silent, prune=True) == []
    only_ada = with_maildrops(maildrop("ada@acme.example"), maildrop("bob@acme.example"))
    assert await world.apply(replace(only_ada, policy=None, domains=None), prune=True) == []
    assert [view.alias for view in await world.tenancy.aliases.page("acme", Page())] == ["sales@acme.test"]


async def test_without_pruning_nothing_is_removed(world: World) -> None:
    await world.apply(ACME)
    less = WantedTenant(
        "acme", policy={}, domains={}, maildrops=dict([maildrop("ada@acme.example", aliases=[], credentials={})])
    )
    assert await world.apply(less) == []


async def test_pruning_removes_what_a_written_section_does_not_name(world: World) -> None:
    await world.apply(ACME)
    ada = dict([maildrop("ada@acme.example", aliases=[], credentials={})])
    less = WantedTenant("acme", policy={}, domains=dict([domain("acme.example")]), maildrops=ada)
    assert await world.apply(less, prune=True) == [
        "change tenant acme",
        "remove alias sales@acme.test",
        "remove maildrop bob@acme.example",
        "remove credential main of ada@acme.example",
        "remove domain acme.test",
    ]
    assert await world.apply(less, prune=True) == []


async def test_pruning_leaves_app_passwords_alone(world: World) -> None:
    await world.apply(ACME)
    phone, _ = world.applier.passwords.app("phone")
    await world.tenancy.credentials.create(STAFF, parse_address("ada@acme.example"), phone)
    none = with_maildrops(maildrop("ada@acme.example", credentials={}), maildrop("bob@acme.example"))
    assert await world.apply(none, prune=True) == ["remove credential main of ada@acme.example"]


async def test_pruning_never_removes_mail_that_the_declaration_is_silent_of(world: World) -> None:
    await world.apply(ACME)
    with pytest.raises(Refusal, match="still has 2 maildrops"):
        await world.apply(WantedTenant("acme", domains={}), prune=True)
    assert await world.tenancy.domains.find("acme.test") is not None


async def test_a_refused_step_leaves_the_whole_tenant_as_it_was(world: World) -> None:
    """All or nothing."""
    await world.tenancy.tenants.create(Act("staff", "other"), {})
    wrong = with_maildrops(
        maildrop("ada@acme.example"),
        maildrop("bob@acme.example", credentials={"main": secret("{ROT13}x", hashed=True)}),
    )
    wishes = await world.applier.wishes([wrong], prune=False, reset=False)
    plan = await world.applier.plan(wrong, wishes)
    unready = await world.applier.ready([])
    with pytest.raises(Refusal, match="unknown scheme"):
        await world.applier.apply(wrong, wishes, plan, unready)
    assert await world.tenancy.tenants.find("acme") is None
    assert await world.tenancy.domains.find("acme.example") is None


async def test_secrets_are_seen_to_before_anything_is_changed(world: World) -> None:
    def missing() -> str:
        raise Refusal(Reason.INVALID, "the variable X isn't set")

    wanted = with_maildrops(
        maildrop("ada@acme.example", credentials={"main": WantedCredential(secret=Secret(missing))})
    )
    with pytest.raises(Refusal, match="X isn't set"):
        await world.apply(wanted)
    assert await world.tenancy.tenants.find("acme") is None


async def test_a_stored_password_stays_unless_it_is_to_be_reset(world: World) -> None:
    await world.apply(ACME)
    other = with_maildrops(maildrop("ada@acme.example", credentials={"main": secret("another one")}))
    assert await world.apply(other) == []
    assert await world.opens("ada@acme.example", "right horse")
    assert await world.apply(other, reset=True) == ["change credential main of ada@acme.example"]
    assert await world.opens("ada@acme.example", "another one")
    assert not await world.opens("ada@acme.example", "right horse")
    assert await world.apply(other, reset=True) == []


async def test_a_reset_password_ends_when_the_old_one_did(world: World) -> None:
    await world.apply(with_maildrops(maildrop("ada@acme.example")))
    end, ada = datetime(2100, 1, 1, tzinfo=UTC), parse_address("ada@acme.example")
    await world.tenancy.credentials.create(STAFF, ada, NewCredential("main", "password", "$old$right horse", end))
    other = with_maildrops(maildrop("ada@acme.example", credentials={"main": secret("another one")}))
    assert await world.apply(other, reset=True) == ["change credential main of ada@acme.example"]
    assert [view.expires for view in await world.tenancy.credentials.of("acme", ada)] == [end]


@pytest.mark.parametrize(("status", "steps"), [(Status.SUSPENDED, 1), (Status.ACTIVE, 2)])
async def test_a_suspended_password_is_reset_only_where_its_status_is_declared(
    world: World, status: Status, steps: int
) -> None:
    """It opens what is resumed by the same declaration, or by a later one."""
    await world.apply(ACME)
    ada, another = parse_address("ada@acme.example"), secret("another one").secret
    await world.tenancy.credentials.set_status(STAFF, ada, "main", Status.SUSPENDED)
    silent, declared = (
        with_maildrops(maildrop(str(ada), credentials={"main": WantedCredential(each, another)}))
        for each in (None, status)
    )
    with pytest.raises(Refusal, match="is suspended: resume it first"):
        await world.apply(silent, reset=True)
    assert await world.apply(declared, reset=True) == [f"change credential main of {ada}"] * steps
    assert [view.status for view in await world.tenancy.credentials.of("acme", ada)] == [status]
    await world.tenancy.credentials.set_status(STAFF, ada, "main", Status.ACTIVE)
    assert await world.opens(str(ada), "another one")


async def test_a_verifier_is_taken_as_it_is(world: World) -> None:
    moved = with_maildrops(maildrop("ada@acme.example", credentials={"main": secret("$old$horse", hashed=True)}))
    await world.apply(moved)
    assert await world.opens("ada@acme.example", "horse")
    assert await world.apply(moved, reset=True) == []


async def test_a_credential_may_be_spoken_of_without_its_secret(world: World) -> None:
    await world.apply(ACME)
    shut = {"main": WantedCredential(Status.SUSPENDED)}
    assert await world.apply(with_maildrops(maildrop("ada@acme.example", credentials=shut))) == [
        "change credential main of ada@acme.example"
    ]
    with pytest.raises(Refusal, match=r"phone of ada@acme\.example isn't there yet and names no secret"):
        await world.apply(with_maildrops(maildrop("ada@acme.example", credentials={"phone": WantedCredential()})))


async def test_names_change_their_kind_in_one_run(world: World) -> None:
    """A maildrop becomes an alias, an alias a maildrop, and an alias is pointed elsewhere."""
    await world.apply(ACME)
    turned = with_maildrops(
        maildrop("ada@acme.example", aliases=["bob@acme.example"]), maildrop("sales@acme.test", aliases=[])
    )
    assert await world.apply(turned, prune=True) == [
        "remove alias sales@acme.test",
        "remove maildrop bob@acme.example",
        "create maildrop sales@acme.test",
        "create alias bob@acme.example",
    ]
    pointed = with_maildrops(
        maildrop("ada@acme.example", aliases=[]), maildrop("sales@acme.test", aliases=["bob@acme.example"])
    )
    assert await world.apply(pointed) == ["change alias bob@acme.example"]
    assert await world.apply(pointed, prune=True) == []


async def test_a_catch_all_is_lifted_when_it_is_said_to_be_none(world: World) -> None:
    await world.apply(ACME)
    silent = replace(ACME, domains=dict([domain("acme.example", catch_all=Unsaid.UNSAID)]))
    assert await world.apply(silent) == []
    none = replace(ACME, domains=dict([domain("acme.example", catch_all=None)]))
    assert await world.apply(none) == ["change domain acme.example"]


async def test_a_maildrop_that_its_domain_names_as_its_catch_all_is_not_pruned(world: World) -> None:
    """The declaration contradicts itself: the tenant is refused as a whole, and keeps the maildrop and its mail."""
    await world.apply(ACME)
    for _ in range(2):
        with pytest.raises(Refusal, match=r"ada@acme\.example"):
            await world.apply(with_maildrops(maildrop("bob@acme.example")), prune=True)
    found = await world.tenancy.domains.find("acme.example")
    assert found is not None
    assert found.catch_all == "ada@acme.example"
    assert await world.apply(ACME, prune=True) == []


async def test_a_policy_is_given_back_by_pruning_alone(world: World) -> None:
    await world.apply(ACME)
    other = replace(ACME, policy={"quota_messages": 7})
    assert await world.apply(other) == ["change tenant acme"]
    assert await policy_of(world) == {"login_delay": 60, "quota_messages": 7}
    assert await world.apply(other, prune=True) == ["change tenant acme"]
    assert await policy_of(world) == {"quota_messages": 7}


async def test_a_tenants_outside_directory_is_declared_too(world: World) -> None:
    chosen = WantedTenant("acme", directory="ldap")
    assert await world.apply(chosen) == ["create tenant acme", "change tenant acme"]
    assert await world.tenancy.directories.of("acme") == "ldap"
    assert await world.apply(WantedTenant("acme"), prune=True) == []
    assert await world.apply(chosen) == []
    assert await world.apply(replace(chosen, directory=None)) == ["change tenant acme"]
    assert await world.tenancy.directories.of("acme") is None


async def policy_of(world: World) -> Mapping[str, object]:
    view = await world.tenancy.tenants.find("acme")
    assert view is not None
    return view.policy


async def test_another_tenants_domain_can_not_be_declared(world: World) -> None:
    """G10."""
    other = Act("staff", "other")
    await world.tenancy.tenants.create(other, {})
    await world.tenancy.domains.create(other, "acme.test")
    with pytest.raises(Refusal, match=r"acme\.test belongs to another tenant"):
        await world.apply(ACME)
    with pytest.raises(Refusal, match=r"tenant acme has no domain acme\.test"):
        await world.apply(WantedTenant("acme", maildrops=dict([maildrop("x@acme.test")])))


async def test_nothing_is_removed_that_was_not_shown(world: World) -> None:
    await world.apply(ACME)
    wishes = await world.applier.wishes([ACME], prune=True, reset=False)
    shown = await world.applier.plan(ACME, wishes)
    await world.tenancy.maildrops.create(STAFF, parse_address("eve@acme.example"), {})
    with pytest.raises(Refusal, match="changed meanwhile"):
        await world.applier.apply(ACME, wishes, shown, await world.applier.ready([shown]))
    assert await world.tenancy.maildrops.find("acme", parse_address("eve@acme.example")) is not None


async def test_all_of_it_is_audited_under_the_appliers_name(world: World) -> None:
    await world.apply(ACME)
    entries = await world.tenancy.audit.newest("acme", 100)
    assert len(entries) == 9
    assert {entry.actor for entry in entries} == {"apply:x"}
    assert "horse" not in repr(entries)


@pytest.mark.parametrize("dsn", ["postgres"], indirect=True)
async def test_two_at_once_make_it_once(world: World) -> None:
    done = await asyncio.gather(*(world.apply(ACME) for _ in range(4)))
    assert sorted(map(len, done)) == [0, 0, 0, 9]
    assert len(await world.tenancy.audit.newest("acme", 100)) == 9


async def test_a_connection_that_is_lost_half_way_costs_nothing(migrated_dsn: str) -> None:
    """F5: the whole tenant is tried again on another connection."""
    database = Database(migrated_dsn)
    await database.open()
    tenancy, directory = postgres_tenancy(database), PostgresDirectory(database)
    world = World(
        Applier(PostgresUnits(database), directory, Passwords(HASHES, prepare, SetClock()), "apply:x"),
        tenancy,
        directory,
    )
    other = await asyncpg.connect(migrated_dsn)
    blocking = other.transaction()
    await blocking.start()
    await other.execute("INSERT INTO tenants (tenant_id, name) VALUES (gen_random_uuid(), 'blocker')")
    await other.execute("INSERT INTO domains SELECT tenant_id, 'acme.test' FROM tenants")
    under_way = asyncio.create_task(world.apply(ACME))
    watch = await asyncpg.connect(migrated_dsn)
    waiting = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    while not (pid := await watch.fetchval(waiting)):
        assert not under_way.done()
    await watch.execute("SELECT pg_terminate_backend($1)", pid)
    await blocking.rollback()
    assert len(await under_way) == 9
    assert len(await tenancy.audit.newest("acme", 100)) == 9
    for connection in (other, watch):
        await connection.close()
    await database.close()
