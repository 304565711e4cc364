"""Forced row-level security: the catalogue has a policy for every table, and a delegated admin's role obeys it. G10.

On a real Postgres alone: memory has no roles.
"""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest

from service.mail.tenancy import Act, AuditQuery, Page
from service.model.address import parse_address
from service.model.refusal import Reason, Refusal
from service.model.tenancy import NewCredential
from service.stores.postgres.database import Database
from service.stores.postgres.directory import FIND, RESOLVE
from service.stores.postgres.listing import LISTING
from service.stores.postgres.logins import create_login
from service.stores.postgres.migrate import migrate
from service.stores.postgres.tenancy import postgres_tenancy
from service.stores.postgres.units import CONFINE, PostgresUnits

WITHOUT_TENANT = {"schema_migrations"}
PROCESSES = ("poplar_front", "poplar_lmtp", "poplar_sweep", "poplar_api")
ADA, BEA = parse_address("ada@acme.example"), parse_address("bea@other.example")

SECURITY = """
SELECT c.relname::text, c.relrowsecurity AND c.relforcerowsecurity FROM pg_class c
WHERE c.relkind IN ('r', 'p') AND c.relnamespace = 'public'::regnamespace
"""
POLICIES = """
SELECT tablename::text, policyname::text, roles::text[], cmd, permissive, qual, with_check FROM pg_policies
WHERE schemaname = 'public'
"""


@pytest.fixture
async def owner(migrated_dsn: str) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    connection = await asyncpg.connect(migrated_dsn)
    yield connection
    await connection.close()


async def tables(owner: "asyncpg.Connection[asyncpg.Record]") -> set[str]:
    return {row[0] for row in await owner.fetch(SECURITY)} - WITHOUT_TENANT


async def test_every_table_forces_row_level_security(owner: "asyncpg.Connection[asyncpg.Record]") -> None:
    forced = {row[0] for row in await owner.fetch(SECURITY) if row[1]}
    assert forced == await tables(owner)


async def test_every_table_shows_a_delegated_admin_one_tenant_and_the_processes_all(
    owner: "asyncpg.Connection[asyncpg.Record]",
) -> None:
    rows = await owner.fetch(POLICIES)
    delegated = {row["tablename"]: row for row in rows if row["policyname"] == "delegate"}
    for row in delegated.values():
        assert row["roles"] == ["poplar_delegate"]
        assert (row["cmd"], row["permissive"], row["qual"]) == ("ALL", "PERMISSIVE", row["with_check"])
        assert row["qual"].startswith("(tenant_id = (")
        assert "poplar.tenant" in row["qual"]
    processes = {row["tablename"]: row for row in rows if row["policyname"] == "processes"}
    for row in processes.values():
        assert set(PROCESSES) <= set(row["roles"])
        assert not {"public", "poplar_delegate"} & set(row["roles"])
        assert row["qual"] == row["with_check"] == "true"
    assert delegated.keys() == processes.keys() == await tables(owner)
    assert len(rows) == len(delegated) + len(processes)


async def test_the_delegated_admins_role_owns_nothing_and_bypasses_nothing(
    owner: "asyncpg.Connection[asyncpg.Record]",
) -> None:
    role = await owner.fetchrow("SELECT * FROM pg_roles WHERE rolname = 'poplar_delegate'")
    assert role is not None
    powers = ("canlogin", "super", "createrole", "createdb", "bypassrls", "replication")
    assert not any(role[f"rol{power}"] for power in powers)
    assert not await owner.fetchval("SELECT count(*) FROM pg_class WHERE relowner = $1", role["oid"])
    assert not await owner.fetchval("SELECT count(*) FROM pg_auth_members WHERE member = $1", role["oid"])
    members = await owner.fetch(
        "SELECT r.rolname FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.member WHERE m.roleid = $1", role["oid"]
    )
    assert [row[0] for row in members] == ["poplar_api"]


@pytest.mark.parametrize("table", ["tokens", "fences"])
async def test_a_delegated_admin_has_no_right_at_all_to(
    owner: "asyncpg.Connection[asyncpg.Record]", table: str
) -> None:
    for right in ("SELECT", "INSERT", "UPDATE"):
        assert not await owner.fetchval("SELECT has_any_column_privilege('poplar_delegate', $1, $2)", table, right)


async def test_a_delegated_admin_can_make_or_remove_no_tenant_and_no_domain(
    owner: "asyncpg.Connection[asyncpg.Record]",
) -> None:
    for table in ("tenants", "domains"):
        for right in ("INSERT", "DELETE"):
            assert not await owner.fetchval("SELECT has_table_privilege('poplar_delegate', $1, $2)", table, right)
    assert not await owner.fetchval("SELECT has_any_column_privilege('poplar_delegate', 'tenants', 'UPDATE')")


async def clerks(dsn: str) -> Database:
    """A database as the API opens it: with a login of its own."""
    await create_login(dsn, "clerk", "clerk", "poplar_api")
    scheme, _, rest = dsn.partition("://")
    database = Database(f"{scheme}://clerk:clerk@{rest.rpartition('@')[2]}")
    await database.open()
    return database


@pytest.fixture
async def database(migrated_dsn: str) -> AsyncIterator[Database]:
    database = await clerks(migrated_dsn)
    tenancy = postgres_tenancy(database)
    for name, address in (("acme", ADA), ("other", BEA)):
        act = Act("tester", name)
        await tenancy.tenants.create(act, {})
        await tenancy.domains.create(act, address.domain)
        await tenancy.maildrops.create(act, address, {})
        await tenancy.aliases.create(act, parse_address(f"alias@{address.domain}"), address)
        await tenancy.credentials.create(act, address, NewCredential("main", "password", "v"))
    yield database
    await database.close()


async def id_of(database: Database, tenant: str) -> UUID:
    found = await postgres_tenancy(database).tenants.find(tenant)
    assert found is not None
    return found.tenant_id


@asynccontextmanager
async def confined(database: Database, tenant: str | None) -> AsyncIterator[Any]:
    """A transaction as the delegated admin's role, bare of any use case."""
    async with database.transaction() as connection:
        await connection.execute(CONFINE, str(await id_of(database, tenant)) if tenant else "")
        yield connection


READABLE = ("tenants", "domains", "maildrops", "aliases", "credentials", "messages", "audit")


async def test_a_statement_without_any_condition_reads_one_tenant_alone(database: Database) -> None:
    acme = await id_of(database, "acme")
    async with confined(database, "acme") as connection:
        for table in READABLE:
            rows = await connection.fetch(f"TABLE {table}")
            assert {row["tenant_id"] for row in rows} == (set() if table == "messages" else {acme})


async def test_a_role_that_names_no_tenant_sees_nothing(database: Database) -> None:
    async with confined(database, None) as connection:
        for table in READABLE:
            assert await connection.fetch(f"TABLE {table}") == []


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE domains SET status = 'suspended'",
        "UPDATE maildrops SET status = 'suspended'",
        "UPDATE credentials SET verifier = 'mine'",
        "DELETE FROM aliases",
        "DELETE FROM credentials",
    ],
)
async def test_a_statement_without_any_condition_changes_one_tenant_alone(database: Database, statement: str) -> None:
    async with confined(database, "acme") as connection:
        assert await connection.execute(statement) == f"{statement.partition(' ')[0]} 1"


async def test_a_row_of_another_tenant_can_not_be_written(database: Database) -> None:
    other = await id_of(database, "other")
    for statement in (
        "INSERT INTO maildrops (tenant_id, maildrop_id, domain, local) VALUES ($1, $2, 'other.example', 'x')",
        "INSERT INTO audit (tenant_id, actor, action, target) VALUES ($1, $2::uuid::text, 'x', 'x')",
        "UPDATE maildrops SET tenant_id = $1, maildrop_id = $2",
    ):
        with pytest.raises(Refusal) as refused:
            async with confined(database, "acme") as connection:
                await connection.execute(statement, other, uuid4())
        assert "42501" in refused.value.cause


async def test_the_role_and_the_tenant_end_with_the_transaction(database: Database) -> None:
    async with confined(database, "acme") as connection:
        assert await connection.fetchval("SELECT current_user::text") == "poplar_delegate"
        pid = await connection.fetchval("SELECT pg_backend_pid()")
    async with database.transaction() as connection:
        assert await connection.fetchval("SELECT pg_backend_pid()") == pid
        assert await connection.fetchval("SELECT current_user::text") == "clerk"
        assert not await connection.fetchval("SELECT current_setting('poplar.tenant', true)")
        assert await connection.fetchval("SELECT count(*) FROM tenants") == 2


async def test_a_unit_within_a_tenant_finds_and_changes_nothing_of_another(database: Database) -> None:
    units = PostgresUnits(database)
    mallory = Act("mallory", "other")
    async with units.open(await id_of(database, "acme")) as unit:
        tenancy = unit.tenancy
        assert await tenancy.tenants.find("other") is None
        assert await tenancy.domains.find("other.example") is None
        assert await tenancy.maildrops.find("other", BEA) is None
        assert [tenant.name for tenant in await tenancy.tenants.page(Page())] == ["acme"]
        assert await tenancy.maildrops.page("other", Page()) == []
        for act in (
            tenancy.maildrops.remove(mallory, BEA),
            tenancy.credentials.of("other", BEA),
            tenancy.credentials.remove(mallory, BEA, "main"),
            tenancy.domains.set_catch_all(mallory, "other.example", None),
            tenancy.audit.page("other", AuditQuery()),
            unit.holds.maildrop("other", BEA),
        ):
            with pytest.raises(Refusal) as refused:
                await act
            assert refused.value.reason is Reason.NOT_FOUND


async def test_a_unit_within_a_tenant_does_an_admins_whole_work(database: Database) -> None:
    act, bob, bert = Act("admin", "acme"), parse_address("bob@acme.example"), parse_address("bert@acme.example")
    async with PostgresUnits(database).open(await id_of(database, "acme")) as unit:
        tenancy = unit.tenancy
        await unit.holds.domain("acme", "acme.example")
        await tenancy.maildrops.create(act, bob, {"quota_messages": 3})
        await tenancy.aliases.create(act, bert, bob)
        await tenancy.aliases.point(act, bert, ADA)
        await tenancy.domains.set_catch_all(act, "acme.example", bob)
        await tenancy.credentials.create(act, bob, NewCredential("main", "password", "v"))
        await tenancy.credentials.replace(act, bob, NewCredential("main", "password", "w"))
        await tenancy.aliases.remove(act, bert)
        await tenancy.maildrops.remove(act, bob)
        done = await tenancy.audit.page("acme", AuditQuery(actor="admin"))
    assert len(done) == 8


async def test_a_unit_that_raises_leaves_nothing_behind(database: Database) -> None:
    units = PostgresUnits(database)

    async def half() -> None:
        async with units.open(None) as unit:
            await unit.tenancy.tenants.create(Act("tester", "third"), {})
            await unit.tenancy.tenants.create(Act("tester", "acme"), {})

    with pytest.raises(Refusal):
        await half()
    async with units.open(None) as unit:
        assert await unit.tenancy.tenants.find("third") is None


def filters(plan: Any) -> list[str]:
    """Every condition and every part of a plan that isn't there without row-level security."""
    text = json.dumps(plan)
    return [word for word in ("poplar.tenant", "current_setting", "InitPlan", "One-Time Filter") if word in text]


@pytest.mark.parametrize("statement", [FIND, RESOLVE], ids=["login", "delivery"])
async def test_the_processes_statements_have_the_same_plan_as_without_it(
    owner: "asyncpg.Connection[asyncpg.Record]", statement: str
) -> None:
    """A login's and a delivery's look-up, planned for a front end with security on, then off."""
    text = statement.replace("$1", "'acme.example'").replace("$2", "'ada'")
    plans = []
    for switch in ("FORCE", "DISABLE"):
        for table in await tables(owner):
            force = "" if switch == "FORCE" else f", {switch} ROW LEVEL SECURITY"
            await owner.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY{force}")
        async with owner.transaction():
            await owner.execute("SET LOCAL ROLE poplar_front")
            plans.append(json.loads(await owner.fetchval(f"EXPLAIN (FORMAT JSON, VERBOSE) {text}")))
    assert plans[0] == plans[1]
    assert filters(plans[0]) == []


async def test_a_listing_is_planned_without_a_condition_more(owner: "asyncpg.Connection[asyncpg.Record]") -> None:
    text = LISTING.replace("$1", f"'{uuid4()}'").replace("$2", f"'{uuid4()}'").replace("$3", "9").replace("$4", "0")
    text = text.replace("$5", "0").replace("$6", "9")
    async with owner.transaction():
        await owner.execute("SET LOCAL ROLE poplar_front")
        plan = json.loads(await owner.fetchval(f"EXPLAIN (FORMAT JSON) {text}"))
    assert filters(plan) == []


async def test_an_owner_that_is_no_superuser_can_be_the_one_login_for_everything(
    postgres_dsn: str, migrated_template: str
) -> None:
    """It administers the role, as whoever creates one does from Postgres 16 on, and may become it once it migrated."""
    assert migrated_template
    connection = await asyncpg.connect(postgres_dsn)
    database_name = await connection.fetchval("SELECT current_database()")
    name = f"single_{database_name}"
    await connection.execute(f"CREATE ROLE {name} LOGIN CREATEROLE PASSWORD 'x'")
    await connection.execute(f"GRANT poplar_delegate TO {name} WITH ADMIN TRUE, INHERIT FALSE, SET FALSE")
    await connection.execute(f"ALTER DATABASE {database_name} OWNER TO {name}")
    scheme, _, rest = postgres_dsn.partition("://")
    dsn = f"{scheme}://{name}:x@{rest.rpartition('@')[2]}"
    await migrate(dsn)
    database = Database(dsn)
    await database.open()
    for tenant in ("acme", "other"):
        await postgres_tenancy(database).tenants.create(Act("tester", tenant), {})
    assert len(await postgres_tenancy(database).tenants.page(Page())) == 2
    async with PostgresUnits(database).open(await id_of(database, "acme")) as unit:
        assert [view.name for view in await unit.tenancy.tenants.page(Page())] == ["acme"]
    await database.close()
    await connection.execute(f"REASSIGN OWNED BY {name} TO CURRENT_USER")
    await connection.execute(f"DROP OWNED BY {name}")
    await connection.execute(f"DROP ROLE {name}")
    await connection.close()
