"""What each group of logins may do, made good where a database lacks it: what `migrate` looks after each time.

Migrations give rights to the groups that are there when they are applied, and row-level security names roles: a group
that was made later has no right, and of a dump that was restored under another owner nobody sees a row. Owns the list
of all rights as the migrations of this release leave them (tests/stores/test_rights.py holds one against the other).
Refuses to take any right away, and to make roles.
"""

from collections.abc import Mapping

import asyncpg

from service.stores.hosts import Connection

RIGHTS = "rights"
"""What was applied where a group lacked a right, or the API's login and the owner lacked poplar_delegate."""
ROW_SECURITY = "row security"
"""What was applied where the policies of 0008_row_security.sql had to be made anew."""
DELEGATE = "poplar_delegate"

EVERYTHING = "SELECT, INSERT, UPDATE, DELETE"
GROUPS: Mapping[str, tuple[str, ...]] = {
    "poplar_front": (
        "SELECT ON tenants, domains, maildrops, aliases, credentials, issuers, messages, fences",
        "INSERT, UPDATE ON fences",
        "UPDATE (messages, octets, removals) ON maildrops",
        "UPDATE (removed_at, removed_in, removed_by, retrieved_at, kept_until) ON messages",
        "EXECUTE ON FUNCTION open_maildrop(uuid, uuid, uuid)",
        "EXECUTE ON FUNCTION open_maildrop_since(uuid, uuid, uuid, timestamptz, integer)",
        "EXECUTE ON FUNCTION open_maildrops_together(bigint[], uuid[], uuid[], uuid[])",
        "EXECUTE ON FUNCTION remove_messages(uuid, uuid, uuid, bigint[])",
        "EXECUTE ON FUNCTION remove_messages(uuid, uuid, uuid, bigint[], text, text, text, text)",
        "EXECUTE ON FUNCTION leave_maildrop(uuid, uuid, uuid, bigint[], bigint[], integer, text, text, text, text)",
        "EXECUTE ON FUNCTION replace_verifier(uuid, uuid, uuid, text, text)",
        "EXECUTE ON FUNCTION add_scram_keys(uuid, uuid, uuid, text, text)",
        "EXECUTE ON FUNCTION use_credential(uuid, uuid, uuid, interval)",
        "EXECUTE ON FUNCTION provide_maildrop(uuid, text, text, text)",
    ),
    "poplar_lmtp": (
        "SELECT ON tenants, domains, maildrops, aliases",
        "SELECT (tenant_id, maildrop_id, unique_id, imported_unique_id) ON messages",
        "INSERT ON messages",
        "UPDATE (messages, octets, next_sequence) ON maildrops",
        "EXECUTE ON FUNCTION append_messages(uuid[], uuid[], uuid[], text[], bigint[], bigint[], boolean[], text[],"
        " bytea[], bytea[], timestamptz[])",
        "EXECUTE ON FUNCTION append_messages(uuid[], uuid[], uuid[], text[], bigint[], bigint[], boolean[], text[],"
        " bytea[], bytea[], timestamptz[], bytea[])",
        "EXECUTE ON FUNCTION append_messages_together(uuid[], uuid[], uuid[], text[], bigint[], bigint[], boolean[],"
        " text[], bytea[], bytea[], timestamptz[], bytea[])",
        "EXECUTE ON FUNCTION provide_maildrop(uuid, text, text, text)",
    ),
    "poplar_sweep": (
        "SELECT ON tenants, domains, maildrops, aliases, messages",
        "DELETE ON tenants, domains, maildrops, messages, audit",
        "UPDATE (messages, octets, removals) ON maildrops",
        "UPDATE (removed_at, removed_in) ON messages",
        "SELECT (tenant_id, audit_id, moment, action) ON audit",
        "EXECUTE ON FUNCTION expire_messages(uuid, uuid, timestamptz, bigint)",
        "EXECUTE ON FUNCTION expire_retrieved(uuid, uuid, timestamptz, bigint)",
        "EXECUTE ON FUNCTION forget_messages(uuid[], uuid[], bigint[])",
    ),
    "poplar_api": (
        f"{EVERYTHING} ON tenants, domains, maildrops, aliases, credentials, issuers",
        "SELECT, INSERT ON messages, audit, tokens",
        "UPDATE (removed_at, removed_in) ON messages",
        "UPDATE (digest, expires, last_used, revoked) ON tokens",
    ),
    DELEGATE: (
        "SELECT ON tenants, domains, maildrops, aliases, credentials, messages, audit",
        "UPDATE (status) ON domains",
        "INSERT, UPDATE ON maildrops",
        "INSERT, UPDATE, DELETE ON aliases, credentials",
        "INSERT ON messages, audit",
        "UPDATE (removed_at, removed_in) ON messages",
        "SELECT (tenant_id, issuer_id, name, status, terms, secret_set, created) ON issuers",
    ),
}
"""Each group's rights, as a GRANT has them before its TO."""

_HELD = """
SELECT array(SELECT c.relacl::text FROM pg_class c WHERE c.relnamespace = n.oid ORDER BY c.oid),
       array(SELECT a.attacl::text FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
             WHERE c.relnamespace = n.oid ORDER BY c.oid, a.attnum),
       array(SELECT p.proacl::text FROM pg_proc p WHERE p.pronamespace = n.oid ORDER BY p.oid)
FROM pg_namespace n WHERE n.oid = (SELECT relnamespace FROM pg_class WHERE oid = 'tenants'::regclass)
"""
# From Postgres 16 on whoever creates a role is a member of it who may not become it.
_NO_DELEGATES = """
SELECT quote_ident(rolname) FROM pg_roles
WHERE rolname IN ('poplar_api', current_user) AND NOT rolsuper AND to_regrole('poplar_delegate') IS NOT NULL
  AND NOT pg_has_role(rolname, 'poplar_delegate',
                      CASE WHEN current_setting('server_version_num')::int >= 160000 THEN 'SET' ELSE 'MEMBER' END)
"""
# The owner is among the roles, for functions with their owner's rights. Where a role that a policy names is missing, a
# restore makes the table without the policy, and nobody sees its rows. Who acts for one tenant has a policy of its own.
_POLICIES = """
SELECT format('DROP POLICY IF EXISTS %I ON %s', w.policy, c.oid::regclass),
       format('CREATE POLICY %I ON %s TO %s USING (%s) WITH CHECK (%4$s)', w.policy, c.oid::regclass, w.names, w.rows)
FROM pg_class c CROSS JOIN LATERAL (
    SELECT 'processes' AS policy, 'true' AS rows, array_agg(r.oid) AS roles,
           string_agg(quote_ident(r.rolname), ', ') AS names
    FROM pg_roles r
    WHERE r.oid = c.relowner OR r.rolname IN ('poplar_front', 'poplar_lmtp', 'poplar_sweep', 'poplar_api')
    UNION ALL
    SELECT 'delegate', 'tenant_id = (SELECT nullif(current_setting(''poplar.tenant'', true), '''')::uuid)',
           ARRAY[r.oid], quote_ident(r.rolname)
    FROM pg_roles r WHERE r.rolname = 'poplar_delegate'
) w
WHERE c.relforcerowsecurity AND c.relnamespace = (SELECT relnamespace FROM pg_class WHERE oid = 'tenants'::regclass)
  AND EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'tenant_id' AND a.attnum = 1)
  AND NOT EXISTS (
      SELECT FROM pg_policy p WHERE p.polrelid = c.oid AND p.polname = w.policy AND p.polroles @> w.roles
  )
"""


async def make_good(connection: Connection) -> list[str]:
    """Give the groups and the owner that are there what they lack, as the owner, within a transaction: what that was.

    Raises asyncpg's errors.
    """
    rights = await _granted(connection)
    delegates = await _delegated(connection)
    policies = await connection.fetch(_POLICIES)
    for drop, create in policies:
        await connection.execute(drop)
        await connection.execute(create)
    return [RIGHTS] * (rights or delegates) + [ROW_SECURITY] * bool(policies)


async def lacking(connection: Connection) -> list[str]:
    """What only somebody with more rights than the owner can make good, as sentences with the statement that does."""
    there = {row[0] for row in await connection.fetch("SELECT rolname::text FROM pg_roles")}
    told = [
        f"there is no group {group}: CREATE ROLE {group} NOLOGIN; then `poplar migrate` gives it its rights"
        for group in GROUPS
        if group not in there
    ]
    rows = await connection.fetch(_NO_DELEGATES)
    return told + [f"{row[0]} can't act for a tenant's own token: GRANT {DELEGATE} TO {row[0]}" for row in rows]


async def _granted(connection: Connection) -> bool:
    """Whether a group that is there lacked a right, which it has now."""
    before = await connection.fetchrow(_HELD)
    there = await connection.fetch("SELECT rolname::text FROM pg_roles WHERE rolname = ANY ($1)", list(GROUPS))
    for (group,) in there:
        for right in GROUPS[group]:
            await connection.execute(f"GRANT {right} TO {group}")
    return await connection.fetchrow(_HELD) != before


async def _delegated(connection: Connection) -> bool:
    """Whether the API's group or the owner could not become poplar_delegate, and can now."""
    done = False
    for (member,) in await connection.fetch(_NO_DELEGATES):
        try:
            async with connection.transaction():
                await connection.execute(f"GRANT {DELEGATE} TO {member}")
            done = True
        except asyncpg.InsufficientPrivilegeError:
            # Who made the role must: `lacking` says so.
            continue
    return done
