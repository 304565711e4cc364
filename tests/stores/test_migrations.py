"""Migrations and roles on a real Postgres: applied once, from two pods at once, with no right too many. G10.

The rights are read from Postgres' own catalogue and tried with real logins, whose passwords are verifiers as
RFC 5803 §1 has them and RFC 5802 §3 derives them.
"""

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest

from service.model.refusal import Reason, Refusal
from service.stores.postgres.database import Database
from service.stores.postgres.directory import PostgresDirectory
from service.stores.postgres.index import PostgresMessageIndex
from service.stores.postgres.logins import GROUPS, create_login, scram_verifier
from service.stores.postgres.migrate import migrate, migrations, pending
from service.stores.postgres.sweep import PostgresSweepable
from tests.stores.wiretap import tapped
from tests.stores.worlds import PostgresWorld, message, one_maildrop, recipient

FENCE = b"\x01" * 16
VERSIONS = [m.version for m in migrations()]
WRITES = ("INSERT", "UPDATE", "DELETE", "TRUNCATE")

WRITABLE = """
SELECT c.relname, p.privilege FROM pg_class c CROSS JOIN unnest($2::text[]) AS p (privilege)
WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace AND has_table_privilege($1, c.oid, p.privilege)
"""
WRITABLE_COLUMNS = """
SELECT c.relname, a.attname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0
WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace AND NOT a.attisdropped
  AND has_column_privilege($1, c.oid, a.attnum, 'UPDATE') AND NOT has_table_privilege($1, c.oid, 'UPDATE')
"""


@pytest.fixture
async def owner(migrated_dsn: str) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    connection = await asyncpg.connect(migrated_dsn)
    yield connection
    await connection.close()


async def rights(owner: "asyncpg.Connection[asyncpg.Record]", role: str) -> tuple[set[str], set[str]]:
    """Whole tables with a right to write, and single columns with one."""
    tables = await owner.fetch(WRITABLE, role, list(WRITES))
    columns = await owner.fetch(WRITABLE_COLUMNS, role)
    return {f"{row[1]} {row[0]}" for row in tables}, {f"{row[0]}.{row[1]}" for row in columns}


async def test_migrating_twice_applies_each_file_once_and_in_order(postgres_dsn: str) -> None:
    assert await pending(postgres_dsn) == VERSIONS == sorted(VERSIONS)
    assert await migrate(postgres_dsn) == VERSIONS
    assert await migrate(postgres_dsn) == []
    assert await pending(postgres_dsn) == []


async def test_a_migration_leaves_no_prepared_statement_to_whoever_a_pooler_gives_the_connection(
    postgres_dsn: str,
) -> None:
    async with tapped(postgres_dsn) as (tap, dsn):
        assert await migrate(dsn) == await pending(postgres_dsn) + VERSIONS
        assert await pending(dsn) == []
        assert tap.prepared == []


async def test_two_pods_that_migrate_at_once_apply_each_file_once(postgres_dsn: str) -> None:
    applied = await asyncio.gather(*(migrate(postgres_dsn) for _ in range(4)))
    assert sorted(version for each in applied for version in each) == VERSIONS


async def test_a_file_that_was_changed_after_it_was_applied_is_refused(postgres_dsn: str) -> None:
    await migrate(postgres_dsn)
    connection = await asyncpg.connect(postgres_dsn)
    await connection.execute("UPDATE schema_migrations SET checksum = 'other' WHERE version = $1", VERSIONS[0])
    await connection.close()
    with pytest.raises(Refusal) as refused:
        await migrate(postgres_dsn)
    assert refused.value.reason is Reason.INVALID
    assert VERSIONS[0] in refused.value.cause


async def test_a_migration_without_postgres_is_refused_as_temporary(postgres_dsn: str) -> None:
    nowhere = postgres_dsn.rpartition("/")[0] + "/no_such_database"
    for step in (migrate, pending):
        with pytest.raises(Refusal) as refused:
            await step(nowhere)
        assert refused.value.reason is Reason.UNAVAILABLE


async def lead_elsewhere(dsn: str) -> None:
    """Give the database a schema that comes before `public`."""
    connection = await asyncpg.connect(dsn)
    database = await connection.fetchval("SELECT current_database()")
    await connection.execute("CREATE SCHEMA orchard")
    await connection.execute(f"ALTER DATABASE {database} SET search_path = orchard, public")
    await connection.close()


async def test_tables_in_another_schema_than_the_functions_look_in_are_not_made(postgres_dsn: str) -> None:
    """No QUIT removes what `remove_messages` doesn't find (RFC 1939 §6)."""
    await lead_elsewhere(postgres_dsn)
    with pytest.raises(Refusal) as refused:
        await migrate(postgres_dsn)
    assert refused.value.reason is Reason.INVALID
    assert "schema orchard" in refused.value.cause
    assert "SET search_path = public" in refused.value.cause


async def test_tables_that_were_made_in_another_schema_count_for_nothing(postgres_dsn: str) -> None:
    await migrate(postgres_dsn)
    await lead_elsewhere(postgres_dsn)
    assert await pending(postgres_dsn) == []
    connection = await asyncpg.connect(postgres_dsn)
    await connection.execute("DROP SCHEMA orchard; ALTER SCHEMA public RENAME TO orchard; CREATE SCHEMA public")
    await connection.close()
    assert await pending(postgres_dsn) == VERSIONS


async def test_an_owner_who_may_not_create_roles_migrates_all_the_same(postgres_dsn: str) -> None:
    connection = await asyncpg.connect(postgres_dsn)
    database = await connection.fetchval("SELECT current_database()")
    await connection.execute(f"CREATE ROLE humble_{database} LOGIN PASSWORD 'x'")
    await connection.execute(f"ALTER DATABASE {database} OWNER TO humble_{database}")
    assert await migrate(login_dsn(postgres_dsn, f"humble_{database}", "x")) == VERSIONS
    await connection.execute(f"REASSIGN OWNED BY humble_{database} TO CURRENT_USER")
    await connection.execute(f"DROP OWNED BY humble_{database}")
    await connection.execute(f"DROP ROLE humble_{database}")
    await connection.close()


async def test_a_front_end_can_write_fences_removals_and_counters_and_nothing_else(
    owner: "asyncpg.Connection[asyncpg.Record]",
) -> None:
    tables, columns = await rights(owner, "poplar_front")
    assert tables == {"INSERT fences", "UPDATE fences"}
    assert columns == {
        *("maildrops.messages", "maildrops.octets", "maildrops.removals"),
        *("messages.removed_at", "messages.removed_in", "messages.removed_by"),
        *("messages.retrieved_at", "messages.kept_until"),
    }


async def test_delivery_can_append_and_count_and_reads_no_credential(
    owner: "asyncpg.Connection[asyncpg.Record]",
) -> None:
    tables, columns = await rights(owner, "poplar_lmtp")
    assert tables == {"INSERT messages"}
    assert columns == {"maildrops.messages", "maildrops.octets", "maildrops.next_sequence"}
    for table in ("credentials", "audit", "fences"):
        assert not await owner.fetchval("SELECT has_table_privilege('poplar_lmtp', $1, 'SELECT')", table)
    assert not await owner.fetchval("SELECT has_any_column_privilege('poplar_lmtp', 'credentials', 'SELECT')")


async def test_the_sweep_can_remove_and_delete_and_reads_no_credential(
    owner: "asyncpg.Connection[asyncpg.Record]",
) -> None:
    tables, columns = await rights(owner, "poplar_sweep")
    assert tables == {f"DELETE {table}" for table in ("tenants", "domains", "maildrops", "messages", "audit")}
    assert columns == {
        *("maildrops.messages", "maildrops.octets", "maildrops.removals"),
        *("messages.removed_at", "messages.removed_in"),
    }
    assert not await owner.fetchval("SELECT has_any_column_privilege('poplar_sweep', 'credentials', 'SELECT')")


async def test_the_api_can_add_to_the_audit_and_never_change_it(
    owner: "asyncpg.Connection[asyncpg.Record]",
) -> None:
    tables, columns = await rights(owner, "poplar_api")
    assert {right for right in tables if right.endswith("audit")} == {"INSERT audit"}
    assert not {column for column in columns if column.startswith("audit.")}
    assert "DELETE messages" not in tables


async def test_no_group_can_log_in_own_anything_or_create_anything(
    owner: "asyncpg.Connection[asyncpg.Record]",
) -> None:
    for group in GROUPS:
        role = await owner.fetchrow("SELECT * FROM pg_roles WHERE rolname = $1", group)
        assert role is not None
        assert not any(role[f"rol{power}"] for power in ("canlogin", "super", "createrole", "createdb", "bypassrls"))
        assert not await owner.fetchval("SELECT has_schema_privilege($1, 'public', 'CREATE')", group)
        tables, _ = await rights(owner, group)
        assert not {right for right in tables if "schema_migrations" in right or right.startswith("TRUNCATE")}


async def test_functions_are_open_to_their_groups_and_to_nobody_else(
    owner: "asyncpg.Connection[asyncpg.Record]",
) -> None:
    rows = await owner.fetch(
        "SELECT p.proname, r.rolname FROM pg_proc p CROSS JOIN pg_roles r"
        " WHERE p.pronamespace = 'public'::regnamespace AND r.rolname = ANY ($1)"
        " AND has_function_privilege(r.oid, p.oid, 'EXECUTE')",
        list(GROUPS),
    )
    may = {(row[0], row[1]) for row in rows}
    assert {
        *(("open_maildrop", "poplar_front"), ("remove_messages", "poplar_front")),
        ("append_messages", "poplar_lmtp"),
        *(("expire_messages", "poplar_sweep"), ("forget_messages", "poplar_sweep")),
    } <= may
    writers = {"open_maildrop", "remove_messages", "append_messages", "expire_messages", "forget_messages"}
    assert len([pair for pair in may if pair[0] in writers]) == 5
    assert not await owner.fetchval(
        "SELECT count(*) FROM pg_proc p WHERE p.pronamespace = 'public'::regnamespace"
        " AND has_function_privilege('public', p.oid, 'EXECUTE')"
    )


def login_dsn(dsn: str, login: str, password: str) -> str:
    scheme, _, rest = dsn.partition("://")
    return f"{scheme}://{login}:{password}@{rest.rpartition('@')[2]}"


async def as_login(dsn: str, group: str) -> Database:
    """A database opened with a new login of `group`; its password has changed once."""
    login = group.replace("poplar_", "login_")
    await create_login(dsn, login, "first", group)
    await create_login(dsn, login, "second", group)
    database = Database(login_dsn(dsn, login, "second"))
    await database.open()
    return database


async def test_each_process_does_its_whole_work_with_its_own_login(
    postgres_world: PostgresWorld, migrated_dsn: str
) -> None:
    key = await one_maildrop(postgres_world, {"expire_days": 1})
    front, lmtp, sweep = [await as_login(migrated_dsn, f"poplar_{name}") for name in ("front", "lmtp", "sweep")]
    assert await PostgresMessageIndex(lmtp).append([(recipient(key), message()) for _ in range(3)]) == [None] * 3
    assert (await PostgresDirectory(front).find("alice@acme.example")) is not None
    assert await PostgresDirectory(front).announced() == await PostgresDirectory(postgres_world.database).announced()
    index = PostgresMessageIndex(front)
    drop = await index.open(key, FENCE)
    assert len(await index.listing(key, drop)) == len(await index.locate(key, [1, 2, 3])) == 3
    await index.remove(key, FENCE, [1])
    sweepable = PostgresSweepable(sweep)
    assert await sweepable.expire(10) == 0
    await postgres_world.set_status(key, "removed")
    moment = await postgres_world.owner.fetchval("SELECT now() + interval '1 minute'")
    expired = await sweepable.removed_before(moment, 10)
    assert len(await sweepable.release_blobs(expired)) == await sweepable.backlog(moment) == 1
    await sweepable.forget(expired)
    for database in (front, lmtp, sweep):
        await database.close()


async def test_a_delivery_of_the_release_before_lists_its_message_without_beginnings(
    postgres_world: PostgresWorld, owner: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    key, text = await one_maildrop(postgres_world), message(500)
    values = (text.unique_id, None, 500, 100, True, "a/1", text.blob.sha256, b"", text.received)
    columns = [[each] for each in (key.tenant_id, key.maildrop_id, *values)]
    call = "SELECT append_messages($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)"
    assert await owner.fetchval(call, *columns) == ["stored"]
    blob = (await postgres_world.index.locate(key, [1]))[1].blob
    assert (blob.key, blob.sha256, blob.beginnings, blob.proofs()) == ("a/1", text.blob.sha256, None, None)


async def test_a_front_ends_login_cannot_touch_what_is_not_its_own(
    postgres_world: PostgresWorld, migrated_dsn: str
) -> None:
    await one_maildrop(postgres_world)
    front = await as_login(migrated_dsn, "poplar_front")
    for statement in (
        "UPDATE tenants SET status = 'active'",
        "UPDATE maildrops SET status = 'active'",
        "DELETE FROM messages",
        "INSERT INTO credentials (tenant_id, maildrop_id, credential_id, verifier)"
        " SELECT tenant_id, maildrop_id, gen_random_uuid(), '' FROM maildrops",
        "SELECT * FROM audit",
    ):
        with pytest.raises(Refusal) as refused:
            await front.read(statement)
        assert "42501" in refused.value.cause
    await front.close()


async def test_a_wrong_password_opens_nothing(postgres_world: PostgresWorld, migrated_dsn: str) -> None:
    await (await as_login(migrated_dsn, "poplar_front")).close()
    database = Database(login_dsn(migrated_dsn, "login_front", "first"))
    await database.open()
    with pytest.raises(Refusal) as refused:
        await database.ping()
    assert refused.value.reason is Reason.UNAVAILABLE
    await database.close()


async def test_a_login_joins_only_a_known_group(migrated_dsn: str) -> None:
    with pytest.raises(Refusal) as refused:
        await create_login(migrated_dsn, "mallory", "x", "pg_write_server_files")
    assert refused.value.reason is Reason.INVALID


def test_a_verifier_has_the_form_that_postgres_stores() -> None:
    verifier = scram_verifier("pencil", bytes(16))
    assert verifier.startswith("SCRAM-SHA-256$4096:AAAAAAAAAAAAAAAAAAAAAA==$")
    assert scram_verifier("pencil", bytes(16)) == verifier != scram_verifier("other", bytes(16))
