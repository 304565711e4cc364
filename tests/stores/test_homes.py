"""The homes of domains and the choices of directories, one suite for memory and Postgres.

On Postgres the maildrops are made with a front end's login, which may write no maildrop by itself. RFC 3206 §5.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from urllib.parse import urlsplit

import asyncpg
import pytest

from service.mail.outside.ports import Homes
from service.mail.tenancy import Act, Tenancy
from service.model.account import Status
from service.model.address import parse_address
from service.model.refusal import Reason, Refusal
from service.stores.memory.homes import MemoryHomes
from service.stores.memory.state import MemoryState
from service.stores.memory.tenancy import memory_tenancy
from service.stores.postgres.database import Database
from service.stores.postgres.homes import PostgresHomes
from service.stores.postgres.logins import create_login
from service.stores.postgres.tenancy import postgres_tenancy

pytestmark = pytest.mark.asyncio

ACME, OTHER = Act("tester", "acme"), Act("tester", "other")
ADA = parse_address("ada@acme.example")


@dataclass(frozen=True)
class World:
    homes: Homes
    tenancy: Tenancy

    async def provided(self, directory: str = "crm", address: str = "ada@acme.example", domain: str = "") -> bool:
        home = await self.homes.of(domain or address.rpartition("@")[2])
        assert home is not None
        return await self.homes.provide(home, parse_address(address), directory) is not None


@pytest.fixture(params=["memory", "poplar_front", "poplar_lmtp"])
def role_dsn(request: pytest.FixtureRequest) -> tuple[str, str | None]:
    dsn = None if request.param == "memory" else str(request.getfixturevalue("migrated_dsn"))
    return str(request.param), dsn


@pytest.fixture
async def world(role_dsn: tuple[str, str | None]) -> AsyncIterator[World]:
    """Two tenants, each with its domain; the first uses the directory crm."""
    role, dsn = role_dsn
    if dsn is None:
        state = MemoryState()
        yield await furnished(World(MemoryHomes(state), memory_tenancy(state)))
        return
    await create_login(dsn, "porter", "porter", role)
    parts = urlsplit(dsn)
    limited = Database(parts._replace(netloc=f"porter:porter@{parts.netloc.rpartition('@')[2]}").geturl())
    owner = Database(dsn)
    await limited.open()
    await owner.open()
    try:
        yield await furnished(World(PostgresHomes(limited), postgres_tenancy(owner)))
    finally:
        await limited.close()
        await owner.close()


async def furnished(world: World) -> World:
    for act in (ACME, OTHER):
        await world.tenancy.tenants.create(act, {})
        await world.tenancy.domains.create(act, f"{act.tenant}.example")
    await world.tenancy.directories.choose(ACME, "crm")
    return world


async def test_a_choice_is_kept_and_audited_and_can_be_taken_back(world: World) -> None:
    choices = world.tenancy.directories
    assert [await choices.of("acme"), await choices.of("other")] == ["crm", None]
    entry = (await world.tenancy.audit.newest("acme", 1))[0]
    assert (entry.actor, entry.action, entry.details) == ("tester", "tenant.directory", {"directory": "crm"})
    await choices.choose(ACME, None)
    assert await choices.of("acme") is None
    with pytest.raises(Refusal) as refused:
        await choices.of("nobody")
    assert refused.value.reason is Reason.NOT_FOUND


async def test_a_home_tells_its_tenant_its_choice_and_whether_it_is_active(world: World) -> None:
    home = await world.homes.of("acme.example")
    assert home is not None
    assert (home.tenant, home.active, home.directory, home.policy.login_delay) == ("acme", True, "crm", 0)
    await world.tenancy.domains.set_status(ACME, "acme.example", Status.SUSPENDED)
    suspended = await world.homes.of("acme.example")
    assert suspended is not None
    assert not suspended.active
    assert await world.homes.of("nobody.example") is None


async def test_a_maildrop_is_made_once_and_audited_as_the_directorys_act(world: World) -> None:
    assert await world.provided()
    assert await world.provided()
    view = await world.tenancy.maildrops.find("acme", ADA)
    assert view is not None
    created = [e for e in await world.tenancy.audit.newest("acme", 9) if e.action == "maildrop.create"]
    assert [(e.actor, e.subject) for e in created] == [("directory:crm", "ada@acme.example")]


async def test_one_that_staff_made_is_found_whatever_its_status(world: World) -> None:
    view = await world.tenancy.maildrops.create(ACME, ADA, {})
    await world.tenancy.maildrops.set_status(ACME, ADA, Status.SUSPENDED)
    home = await world.homes.of("acme.example")
    assert home is not None
    assert await world.homes.provide(home, ADA, "crm") == view.maildrop_id


async def test_none_is_made_where_tenant_or_domain_is_suspended(world: World) -> None:
    await world.tenancy.tenants.set_status(ACME, Status.SUSPENDED)
    assert not await world.provided()
    await world.tenancy.tenants.set_status(ACME, Status.ACTIVE)
    await world.tenancy.domains.set_status(ACME, "acme.example", Status.SUSPENDED)
    assert not await world.provided()


async def test_none_is_made_for_another_directory_than_the_tenants(world: World) -> None:
    assert not await world.provided("erp")
    assert await world.provided("erp", "bob@other.example")
    await world.tenancy.directories.choose(ACME, "own")
    assert not await world.provided("crm")
    assert not await world.provided("own")


async def test_g10_none_is_made_in_a_domain_of_another_tenants(world: World) -> None:
    assert not await world.provided("crm", "ada@other.example", "acme.example")


async def test_none_is_made_where_an_alias_has_the_address(world: World) -> None:
    await world.tenancy.maildrops.create(ACME, parse_address("bob@acme.example"), {})
    await world.tenancy.aliases.create(ACME, ADA, parse_address("bob@acme.example"))
    assert not await world.provided()


@pytest.mark.parametrize("local", ["Ada", "a+b", "a b", "a\tb", ""])
async def test_the_database_itself_refuses_a_name_that_no_maildrop_has(migrated_dsn: str, local: str) -> None:
    database = Database(migrated_dsn)
    await database.open()
    tenancy = postgres_tenancy(database)
    view = await tenancy.tenants.create(ACME, {})
    await tenancy.domains.create(ACME, "acme.example")
    await database.close()
    connection = await asyncpg.connect(migrated_dsn)
    statement = "SELECT provide_maildrop($1, 'acme.example', $2, 'crm')"
    with pytest.raises(asyncpg.CheckViolationError):
        await connection.fetchval(statement, view.tenant_id, local)
    await connection.close()
