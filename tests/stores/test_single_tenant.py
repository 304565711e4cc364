"""Poplar's tables can be spread by tenant: which statements stay within one, and that none joins the others unseen.

Citus itself isn't to be had here: what is proved is what it asks of keys, functions and statements.
"""

import re
from pathlib import Path

import asyncpg
import pytest
from pglast import parse_sql

from tests.stores.statements import composed, functions, sent
from tests.stores.tenant_paths import DISTRIBUTED, REFERENCE, paths

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "deploy/decisions/capacity.md").read_text("utf-8")
CITUS = (ROOT / "deploy/capacity/citus.sql").read_text("utf-8")
LOOPS = {"append_messages", "append_messages_together", "forget_messages", "open_maildrops_together"}
"""They take several tenants in arrays."""
AT_THE_COORDINATOR = LOOPS | {"provide_maildrop"}
LOOKED_AT = {
    "index.remove", "sweep.expire", "tenancy.audit.page", "tenancy.batches._names", "tenancy.batches._inserted",
    "tenancy.credentials._change", "tenancy.rows.lock_maildrop",
    "tenancy.rows.lock_tenant", "tokens._change", "units.read", "units.write",
}  # fmt: skip
"""Functions that choose between constants, or pass on what they are given."""


def told_of() -> set[str]:
    """The statements that the page's table of those beyond one tenant names."""
    table = PAGE.partition("### Statements beyond one tenant")[2].partition("\n### ")[0]
    return set(re.findall(r"`([a-z_.]+\.[A-Z_]+)`", table))


def beyond() -> set[str]:
    """The statements that don't keep to one tenant, or call a function that doesn't."""
    found = set()
    for name, text in sent().items():
        path = paths(text)
        if path.kind not in {"none", "one"} or path.functions & LOOPS:
            found.add(name.partition("+")[0])
    return found


def test_every_statement_stays_within_one_tenant_or_stands_with_its_reason_in_the_page() -> None:
    assert beyond() == told_of()


def test_every_statement_is_found_or_its_sender_was_looked_at() -> None:
    assert composed() == LOOKED_AT
    assert len(sent()) > 100


@pytest.mark.parametrize("name", sorted(functions()))
def test_a_function_stays_within_the_tenant_that_it_is_called_for(name: str) -> None:
    for function in functions()[name]:
        kinds = {paths(text, function.arguments).kind for text in function.statements}
        tenants = {each for text in function.statements for each in paths(text, function.arguments).tenants}
        if name not in LOOPS:
            assert function.arguments[0] == "the_tenant"
            assert kinds <= {"none", "one"}
            assert tenants <= {"=the_tenant"}


def test_the_functions_of_the_path_of_a_message_are_among_those_read() -> None:
    bodies = {name: len(each) for name, group in functions().items() for each in [group[-1].statements]}
    assert bodies["remove_messages"] >= 8
    assert bodies["append_messages"] >= 6


CASES = """
one     SELECT 1 FROM messages WHERE tenant_id = $1
one     SELECT 1 FROM messages WHERE tenant_id = $1::uuid AND sequence > 3
joined  SELECT 1 FROM messages WHERE tenant_id = $1 OR sequence > 3
joined  SELECT 1 FROM messages WHERE sequence = $1
joined  SELECT 1 FROM messages WHERE tenant_id = ANY ($1)
one     SELECT 1 FROM messages m JOIN maildrops d USING (tenant_id) WHERE m.tenant_id = $1
several SELECT 1 FROM messages m JOIN maildrops d USING (maildrop_id) WHERE m.tenant_id = $1
joined  SELECT 1 FROM messages m JOIN maildrops d ON d.tenant_id = m.tenant_id
several SELECT 1 FROM messages m LEFT JOIN maildrops d ON d.tenant_id = m.tenant_id WHERE m.tenant_id = $1
several SELECT (SELECT count(*) FROM aliases) FROM messages WHERE tenant_id = $1
one     SELECT 1 FROM messages m WHERE tenant_id = $1 AND EXISTS (SELECT FROM fences f WHERE f.tenant_id = $1)
several SELECT 1 FROM messages m WHERE tenant_id = $1 AND EXISTS (SELECT FROM fences f WHERE f.fence = $2)
several SELECT 1 FROM messages m WHERE tenant_id = $1 AND NOT EXISTS (SELECT FROM fences f WHERE f.tenant_id = $2)
one     WITH a AS (SELECT * FROM aliases WHERE tenant_id = $1) SELECT 1 FROM a JOIN messages USING (tenant_id)
several WITH a AS (SELECT local FROM aliases WHERE tenant_id = $1) SELECT 1 FROM a, messages m
joined  SELECT 1 FROM tenants t JOIN maildrops m USING (tenant_id) WHERE t.name = $1
none    SELECT 1 FROM tenants WHERE name = $1
one     UPDATE messages SET octets = 1 WHERE tenant_id = $1
several UPDATE messages m SET octets = d.octets FROM maildrops d WHERE m.tenant_id = $1
one     DELETE FROM messages m USING maildrops d WHERE d.tenant_id = m.tenant_id AND m.tenant_id = $1
joined  DELETE FROM messages
one     INSERT INTO audit (actor, tenant_id) VALUES ($1, $2)
joined  INSERT INTO audit (tenant_id, actor) SELECT tenant_id, $2 FROM tenants WHERE name = $1
one     INSERT INTO audit (tenant_id, actor) SELECT $1, local FROM aliases WHERE tenant_id = $1
several INSERT INTO audit (tenant_id, actor) SELECT $1, local FROM aliases WHERE tenant_id = $2
"""


@pytest.mark.parametrize("case", CASES.strip().splitlines())
def test_the_judge_tells_statements_of_one_tenant_from_others(case: str) -> None:
    kind, _, statement = case.partition(" ")
    assert paths(statement).kind == kind


def test_every_table_is_spread_or_kept_on_every_node() -> None:
    spread = set(re.findall(r"create_distributed_table\('(\w+)', 'tenant_id'", CITUS))
    everywhere = set(re.findall(r"create_reference_table\('(\w+)'", CITUS))
    assert spread == DISTRIBUTED
    assert everywhere | {"schema_migrations"} == REFERENCE


async def test_every_table_of_the_database_is_known(migrated_dsn: str) -> None:
    connection = await asyncpg.connect(migrated_dsn)
    rows = await connection.fetch(
        "SELECT relname FROM pg_class WHERE relkind IN ('r', 'p') AND relnamespace = 'public'::regnamespace"
    )
    await connection.close()
    assert {row[0] for row in rows} == DISTRIBUTED | REFERENCE


def test_every_function_is_delegated_or_said_to_stay() -> None:
    named = set(re.findall(r"'(\w+\([^')]*\))', 'the_tenant'", " ".join(CITUS.split())))
    wanted = {
        f"{name}({', '.join(function.types)})"
        for name, group in functions().items() for function in group if name not in AT_THE_COORDINATOR
    }  # fmt: skip
    assert named == wanted
    for name in AT_THE_COORDINATOR:
        assert f"-- {name}(" in CITUS
    assert parse_sql(CITUS)


UNIQUE = """
SELECT c.relname AS table, i.indexrelid::regclass::text AS index,
       array(SELECT a.attname::text FROM pg_attribute a
             WHERE a.attrelid = c.oid AND a.attnum = ANY (i.indkey)) AS columns
FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid
WHERE i.indisunique AND c.relnamespace = 'public'::regnamespace
"""
FOREIGN = """
SELECT f.conrelid::regclass::text AS table, f.confrelid::regclass::text AS other,
       array(SELECT a.attname::text || '=' || b.attname::text
             FROM unnest(f.conkey, f.confkey) AS k (mine, theirs)
             JOIN pg_attribute a ON a.attrelid = f.conrelid AND a.attnum = k.mine
             JOIN pg_attribute b ON b.attrelid = f.confrelid AND b.attnum = k.theirs) AS columns
FROM pg_constraint f WHERE f.contype = 'f' AND f.connamespace = 'public'::regnamespace
"""


async def test_unique_keys_of_spread_tables_hold_the_tenant(migrated_dsn: str) -> None:
    connection = await asyncpg.connect(migrated_dsn)
    rows = [row for row in await connection.fetch(UNIQUE) if row["table"] in DISTRIBUTED]
    await connection.close()
    assert len(rows) >= len(DISTRIBUTED)
    assert [row["index"] for row in rows if "tenant_id" not in row["columns"]] == []


async def test_foreign_keys_lead_along_the_tenant_or_to_every_node(migrated_dsn: str) -> None:
    connection = await asyncpg.connect(migrated_dsn)
    rows = await connection.fetch(FOREIGN)
    await connection.close()
    assert len(rows) >= 8
    for row in rows:
        if row["table"] in REFERENCE:
            assert row["other"] in REFERENCE
        elif row["other"] in DISTRIBUTED:
            assert "tenant_id=tenant_id" in row["columns"]
