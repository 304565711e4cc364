"""Every key begins with the tenant, read from the catalogue of a migrated database.

A row of one tenant then can't point at another's (G10), and the tables can be distributed by tenant.
deploy/decisions/schema.md gives the reason for each exception.
"""

import asyncpg
import pytest

TENANTLESS_TABLES = {"schema_migrations"}
GLOBAL_NAMES = {"tenants_name", "domains_name"}

TABLES = """
SELECT c.relname::text, a.attname::text FROM pg_class c
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = 1
WHERE c.relkind IN ('r', 'p') AND c.relnamespace = 'public'::regnamespace
"""

UNIQUE = """
SELECT i.relname::text, t.relname::text, a.attname::text FROM pg_index x
JOIN pg_class i ON i.oid = x.indexrelid
JOIN pg_class t ON t.oid = x.indrelid
LEFT JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = x.indkey[0]
WHERE x.indisunique AND t.relnamespace = 'public'::regnamespace
"""

FOREIGN = """
SELECT c.conname::text, a.attname::text, b.attname::text FROM pg_constraint c
JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = c.conkey[1]
JOIN pg_attribute b ON b.attrelid = c.confrelid AND b.attnum = c.confkey[1]
WHERE c.contype = 'f' AND c.connamespace = 'public'::regnamespace
"""


@pytest.fixture
async def catalogue(migrated_dsn: str) -> dict[str, list[tuple[str, ...]]]:
    connection = await asyncpg.connect(migrated_dsn)
    try:
        statements = {"tables": TABLES, "unique": UNIQUE, "foreign": FOREIGN}
        return {name: [tuple(row) for row in await connection.fetch(sql)] for name, sql in statements.items()}
    finally:
        await connection.close()


async def test_every_table_begins_with_its_tenant(catalogue: dict[str, list[tuple[str, ...]]]) -> None:
    begins = {table: column for table, column in catalogue["tables"] if table not in TENANTLESS_TABLES}
    assert begins.keys() >= {
        "aliases",
        "audit",
        "credentials",
        "domains",
        "fences",
        "maildrops",
        "messages",
        "tenants",
    }
    assert set(begins.values()) == {"tenant_id"}


async def test_every_primary_and_unique_key_begins_with_its_tenant(
    catalogue: dict[str, list[tuple[str, ...]]],
) -> None:
    others = {
        index for index, table, first in catalogue["unique"] if first != "tenant_id" and table not in TENANTLESS_TABLES
    }
    assert others == GLOBAL_NAMES


async def test_every_foreign_key_begins_with_its_tenant_on_both_sides(
    catalogue: dict[str, list[tuple[str, ...]]],
) -> None:
    assert len(catalogue["foreign"]) >= 7
    assert {sides for _, *sides_ in catalogue["foreign"] for sides in sides_} == {"tenant_id"}
