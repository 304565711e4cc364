"""Each database role may do what is written here, nothing more or less: the catalogue of a migrated database says so.

Owns the list of every right: on tables, columns and functions, and of the roles' own powers. A migration that grants,
or forgets to revoke, changes it here too, where a reviewer reads it. On a real Postgres alone. G10.
"""

import re
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Mapping

import asyncpg
import pytest

from service.model.refusal import Refusal
from service.stores.postgres.database import Database
from service.stores.postgres.logins import create_login

EVERYTHING = "SELECT INSERT UPDATE DELETE"
ALLOWED: Mapping[str, Mapping[str, str]] = {
    # Reads accounts; removes messages and says when they were retrieved. Writes no account, and no credential but by
    # the functions below.
    "poplar_front": {
        "tenants": "SELECT",
        "domains": "SELECT",
        "maildrops": "SELECT UPDATE(messages octets removals)",
        "aliases": "SELECT",
        "credentials": "SELECT",
        "issuers": "SELECT",
        "messages": "SELECT UPDATE(kept_until removed_at removed_by removed_in retrieved_at)",
        "fences": "SELECT INSERT UPDATE",
    },
    # Finds recipients and adds messages; sees no credential, and of messages only what tells a repetition.
    "poplar_lmtp": {
        "tenants": "SELECT",
        "domains": "SELECT",
        "maildrops": "SELECT UPDATE(messages next_sequence octets)",
        "aliases": "SELECT",
        "messages": "SELECT(imported_unique_id maildrop_id tenant_id unique_id) INSERT",
    },
    # Deletes for good what is removed; of the audit it sees how old an entry is, and which tenants were removed.
    "poplar_sweep": {
        "tenants": "SELECT DELETE",
        "domains": "SELECT DELETE",
        "maildrops": "SELECT DELETE UPDATE(messages octets removals)",
        "aliases": "SELECT",
        "messages": "SELECT DELETE UPDATE(removed_at removed_in)",
        "audit": "SELECT(action audit_id moment tenant_id) DELETE",
    },
    # Does the provider's work; the audit it may add to and not change.
    "poplar_api": {
        "tenants": EVERYTHING,
        "domains": EVERYTHING,
        "maildrops": EVERYTHING,
        "aliases": EVERYTHING,
        "credentials": EVERYTHING,
        "issuers": EVERYTHING,
        "messages": "SELECT INSERT UPDATE(removed_at removed_in)",
        "audit": "SELECT INSERT",
        "tokens": "SELECT INSERT UPDATE(digest expires last_used revoked)",
    },
    # Does a tenant's admin's work, in one tenant's rows: tests/stores/test_row_security.py.
    "poplar_delegate": {
        "tenants": "SELECT",
        "domains": "SELECT UPDATE(status)",
        "maildrops": "SELECT INSERT UPDATE",
        "aliases": EVERYTHING,
        "credentials": EVERYTHING,
        "issuers": "SELECT(created issuer_id name secret_set status tenant_id terms)",
        "messages": "SELECT INSERT UPDATE(removed_at removed_in)",
        "audit": "SELECT INSERT",
    },
}
FUNCTIONS: Mapping[str, frozenset[str]] = {
    "add_scram_keys/5": frozenset({"poplar_front"}),
    # What the release before this one calls.
    "append_messages/11": frozenset({"poplar_lmtp"}),
    "append_messages/12": frozenset({"poplar_lmtp"}),
    "append_messages_together/12": frozenset({"poplar_lmtp"}),
    "open_maildrops_together/4": frozenset({"poplar_front"}),
    "expire_messages/4": frozenset({"poplar_sweep"}),
    "expire_retrieved/4": frozenset({"poplar_sweep"}),
    "forget_messages/3": frozenset({"poplar_sweep"}),
    "leave_maildrop/10": frozenset({"poplar_front"}),
    "open_maildrop/3": frozenset({"poplar_front"}),
    "open_maildrop_since/5": frozenset({"poplar_front"}),
    "provide_maildrop/4": frozenset({"poplar_front", "poplar_lmtp"}),
    # What the release before this one calls.
    "remove_messages/4": frozenset({"poplar_front"}),
    "remove_messages/8": frozenset({"poplar_front"}),
    "replace_verifier/5": frozenset({"poplar_front"}),
    "use_credential/4": frozenset({"poplar_front"}),
}
WITH_THE_OWNERS_RIGHTS = {
    "add_scram_keys/5",
    "expire_messages/4",
    "expire_retrieved/4",
    "provide_maildrop/4",
    "remove_messages/8",
    "replace_verifier/5",
    "use_credential/4",
}
MEMBERS = {("poplar_delegate", "poplar_api")}

ON_TABLES = """
SELECT coalesce(r.rolname, 'public')::text AS role, c.relname::text AS name, a.privilege_type AS verb, '' AS part,
       a.is_grantable AS handed_on
FROM pg_class c CROSS JOIN aclexplode(c.relacl) a LEFT JOIN pg_roles r ON r.oid = a.grantee
WHERE c.relnamespace = 'public'::regnamespace AND a.grantee <> c.relowner
UNION ALL
SELECT coalesce(r.rolname, 'public'), c.relname, a.privilege_type, t.attname::text, a.is_grantable
FROM pg_attribute t JOIN pg_class c ON c.oid = t.attrelid
CROSS JOIN aclexplode(t.attacl) a LEFT JOIN pg_roles r ON r.oid = a.grantee
WHERE c.relnamespace = 'public'::regnamespace AND a.grantee <> c.relowner
"""
ON_FUNCTIONS = """
SELECT p.proname || '/' || p.pronargs AS name, p.prosecdef AS as_owner, p.proconfig AS settings,
       pg_get_functiondef(p.oid) AS text,
       ARRAY(SELECT coalesce(r.rolname, 'public')::text
             FROM aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a
             LEFT JOIN pg_roles r ON r.oid = a.grantee WHERE a.grantee <> p.proowner) AS roles
FROM pg_proc p WHERE p.pronamespace = 'public'::regnamespace
"""
ELSEWHERE = """
SELECT r.rolname || ': ' || what FROM pg_roles r CROSS JOIN LATERAL (
    SELECT 'creates in ' || nspname FROM pg_namespace WHERE has_schema_privilege(r.oid, oid, 'CREATE')
    UNION ALL SELECT 'creates schemas' WHERE has_database_privilege(r.oid, current_database(), 'CREATE')
    UNION ALL SELECT 'owns ' || relname FROM pg_class WHERE relowner = r.oid
    UNION ALL SELECT 'owns ' || proname FROM pg_proc WHERE proowner = r.oid
    UNION ALL SELECT 'is given later objects' FROM pg_default_acl CROSS JOIN aclexplode(defaclacl)
        WHERE grantee IN (r.oid, 0)
) AS more (what) WHERE r.rolname = ANY ($1)
"""
POWERS = "SELECT * FROM pg_roles WHERE rolname = ANY ($1)"
MEMBERSHIPS = """
SELECT r.rolname::text, m.rolname::text, a.admin_option FROM pg_auth_members a
JOIN pg_roles r ON r.oid = a.roleid JOIN pg_roles m ON m.oid = a.member WHERE m.rolname = ANY ($1)
"""
NONE_OF = ("super", "createrole", "createdb", "canlogin", "replication", "bypassrls")


@pytest.fixture
async def owner(migrated_dsn: str) -> "AsyncIterator[asyncpg.Connection[asyncpg.Record]]":
    connection = await asyncpg.connect(migrated_dsn)
    yield connection
    await connection.close()


def written(rights: Iterable[tuple[str, str]]) -> str:
    """Rights as they stand above: `SELECT UPDATE(one two)`, in the order of EVERYTHING."""
    parts: dict[str, set[str]] = defaultdict(set)
    for verb, column in rights:
        parts[verb].add(column)
    order = sorted(parts, key=lambda verb: (bool(parts[verb] - {""}), [*EVERYTHING.split(), verb].index(verb)))
    return " ".join(verb if "" in parts[verb] else f"{verb}({' '.join(sorted(parts[verb]))})" for verb in order)


def in_order(rights: str) -> list[str]:
    return sorted(re.findall(r"\w+(?:\([^)]*\))?", rights))


async def test_every_right_on_a_table_or_column_is_one_that_is_listed(
    owner: "asyncpg.Connection[asyncpg.Record]",
) -> None:
    found: dict[str, dict[str, list[tuple[str, str]]]] = defaultdict(lambda: defaultdict(list))
    rows = await owner.fetch(ON_TABLES)
    for row in rows:
        found[row["role"]][row["name"]].append((row["verb"], row["part"]))
    told = {role: {name: in_order(written(each)) for name, each in tables.items()} for role, tables in found.items()}
    assert told == {role: {name: in_order(each) for name, each in tables.items()} for role, tables in ALLOWED.items()}
    assert not any(row["handed_on"] for row in rows)


async def test_every_function_is_called_by_its_roles_alone_and_never_by_everybody(
    owner: "asyncpg.Connection[asyncpg.Record]",
) -> None:
    found = {row["name"]: frozenset(row["roles"]) for row in await owner.fetch(ON_FUNCTIONS)}
    assert found == FUNCTIONS


async def test_a_function_with_its_owners_rights_looks_names_up_nowhere_and_puts_no_statement_together(
    owner: "asyncpg.Connection[asyncpg.Record]",
) -> None:
    rows = [row for row in await owner.fetch(ON_FUNCTIONS) if row["as_owner"]]
    assert {row["name"] for row in rows} == WITH_THE_OWNERS_RIGHTS
    for row in rows:
        assert row["settings"] == ['search_path=""'], row["name"]
        assert not re.search(r"\bEXECUTE\b", row["text"]), row["name"]


async def test_a_role_has_no_power_of_its_own_and_is_member_of_nothing_else(
    owner: "asyncpg.Connection[asyncpg.Record]",
) -> None:
    names = list(ALLOWED)
    rows = await owner.fetch(POWERS, names)
    assert {row["rolname"] for row in rows} == set(names)
    assert [row["rolname"] for row in rows if any(row[f"rol{power}"] for power in NONE_OF)] == []
    memberships = {tuple(row) for row in await owner.fetch(MEMBERSHIPS, names)}
    assert memberships == {(*pair, False) for pair in MEMBERS}


async def test_a_role_creates_and_owns_nothing_and_is_promised_nothing(
    owner: "asyncpg.Connection[asyncpg.Record]",
) -> None:
    assert await owner.fetch(ELSEWHERE, list(ALLOWED)) == []


async def test_a_login_that_is_made_has_its_groups_rights_and_no_power(
    owner: "asyncpg.Connection[asyncpg.Record]", migrated_dsn: str
) -> None:
    await create_login(migrated_dsn, "teller", "teller", "poplar_front")
    (row,) = await owner.fetch(POWERS, ["teller"])
    assert [power for power in NONE_OF if row[f"rol{power}"]] == ["canlogin"]
    assert [tuple(each) for each in await owner.fetch(MEMBERSHIPS, ["teller"])] == [("poplar_front", "teller", False)]
    assert await owner.fetch(ELSEWHERE, ["teller"]) == []


FORBIDDEN = {
    "poplar_front": [
        "SELECT FROM audit",
        "SELECT FROM tokens",
        "INSERT INTO credentials SELECT * FROM credentials",
        "UPDATE credentials SET verifier = 'mine'",
        "UPDATE tenants SET status = 'active'",
        "UPDATE messages SET blob_key = 'theirs'",
        "DELETE FROM messages",
        "TRUNCATE messages",
        "CREATE TABLE mine ()",
        "SET ROLE poplar_api",
    ],
    "poplar_lmtp": ["SELECT FROM credentials", "SELECT blob_key FROM messages", "SELECT FROM issuers"],
    "poplar_sweep": ["SELECT FROM credentials", "SELECT detail FROM audit", "UPDATE audit SET actor = 'nobody'"],
    "poplar_api": [
        "UPDATE audit SET actor = 'nobody'",
        "DELETE FROM audit",
        "DELETE FROM tokens",
        "SELECT FROM fences",
    ],
}


@pytest.mark.parametrize(("group", "statement"), [(group, each) for group, some in FORBIDDEN.items() for each in some])
async def test_a_login_is_refused_what_is_not_its_business(migrated_dsn: str, group: str, statement: str) -> None:
    """The lists above by use: what a process could be made to do by whoever took it over."""
    name = f"taken_{group}"
    await create_login(migrated_dsn, name, "taken", group)
    scheme, _, rest = migrated_dsn.partition("://")
    database = Database(f"{scheme}://{name}:taken@{rest.rpartition('@')[2]}")
    await database.open()
    try:
        with pytest.raises(Refusal) as refused:
            await database.read(statement)
    finally:
        await database.close()
    assert "42501" in refused.value.cause
