"""What `poplar doctor` asks of Postgres: may this login do its work, no more than that, and do the clocks agree.

Owns which rights a role can't work without, and which it shouldn't have. Refuses to advise: the doctor does.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from service.stores.postgres.database import Database

Right = tuple[str, str]
"""A table and a privilege on it."""

NEEDED: Mapping[str, tuple[Right, ...]] = {
    "front": (("credentials", "SELECT"), ("fences", "INSERT"), ("messages", "SELECT")),
    "lmtp": (("maildrops", "SELECT"), ("messages", "INSERT")),
    "sweep": (("messages", "DELETE"), ("maildrops", "SELECT")),
    "api": (("tenants", "INSERT"), ("credentials", "INSERT"), ("audit", "INSERT"), ("tokens", "INSERT")),
}
UNDUE: Mapping[str, tuple[Right, ...]] = {
    "front": (("tenants", "UPDATE"), ("credentials", "INSERT"), ("credentials", "UPDATE")),
    "lmtp": (("credentials", "SELECT"), ("tenants", "UPDATE")),
    "sweep": (("credentials", "SELECT"),),
    "api": (),
}
_RIGHTS = """
SELECT r.relation || ' ' || r.privilege
FROM unnest($1::text[], $2::text[]) AS r(relation, privilege)
WHERE to_regclass(r.relation) IS NOT NULL AND has_table_privilege(r.relation, r.privilege)
"""
_SELF = """
SELECT current_setting('server_version') AS version, current_user::text AS login,
       extract(epoch FROM clock_timestamp())::float8 AS clock,
       to_regclass('public.messages') IS NOT NULL AS has_schema,
       (SELECT relnamespace::regnamespace::text FROM pg_class WHERE oid = to_regclass('messages')) AS schema,
       CASE WHEN to_regrole('poplar_delegate') IS NULL OR to_regclass('public.tenants') IS NULL THEN false
            ELSE pg_has_role(current_user, 'poplar_delegate', 'MEMBER')
                 AND has_table_privilege('poplar_delegate', 'public.tenants', 'SELECT') END AS delegates,
       CASE WHEN to_regrole($1) IS NULL THEN false ELSE pg_has_role(current_user, $1, 'MEMBER') END AS member,
       array(SELECT name FROM unnest(ARRAY['fsync', 'full_page_writes', 'synchronous_commit']) AS name
             WHERE current_setting(name) = 'off') AS careless
"""
# Row-level security hides every row, without an error, from a role that no policy names; from the owner too, with whose
# rights some functions run.
_SHUT_OUT = """
SELECT DISTINCT w.rolname::text
FROM pg_class c JOIN pg_roles w ON w.rolname = current_user OR w.oid = c.relowner
WHERE c.relforcerowsecurity AND NOT w.rolsuper AND NOT w.rolbypassrls
  AND c.relnamespace = (SELECT relnamespace FROM pg_class WHERE oid = to_regclass('tenants'))
  AND EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'tenant_id' AND a.attnum = 1)
  AND NOT EXISTS (
      SELECT FROM pg_policy p CROSS JOIN unnest(p.polroles) AS r (id)
      WHERE p.polrelid = c.oid AND p.polname = 'processes' AND pg_has_role(w.oid, r.id, 'USAGE')
  )
ORDER BY 1
"""
_IN_USE = """
SELECT directory, min(name) FROM tenants WHERE directory IS NOT NULL AND status <> 'removed' GROUP BY directory
"""


@dataclass(frozen=True, slots=True)
class Checkup:
    """What a login found: `clock` in Unix seconds; rights as `table PRIVILEGE`."""

    version: str
    login: str
    clock: float
    has_schema: bool
    """Whether the tables are in `public`, where the functions look for them."""
    missing: tuple[str, ...] = ()
    undue: tuple[str, ...] = ()
    careless: tuple[str, ...] = ()
    """Settings that are off and without which a crash loses what was acknowledged (G1)."""
    shut_out: tuple[str, ...] = ()
    """This login and the tables' owner, as far as row-level security hides every row of a table from them."""
    delegates: bool = True
    """Whether this login can act for a tenant's own token, as the role that row-level security holds to one tenant."""
    astray: str | None = None
    """The schema other than `public` whose tables this login's statements take for Poplar's."""
    member: bool = False
    """Whether this login is in the role's group: what it lacks then is the group's to have."""


async def check_up(database: Database, role: str) -> Checkup:
    """What this role's login can do. Raises Refusal(UNAVAILABLE)."""
    (row,) = await database.read(_SELF, f"poplar_{role}")
    needed, undue = NEEDED.get(role, ()), UNDUE.get(role, ())
    held = await _held(database, needed + undue)
    return Checkup(
        row["version"],
        row["login"],
        row["clock"],
        row["has_schema"],
        tuple(name for name in map(" ".join, needed) if name not in held),
        tuple(name for name in map(" ".join, undue) if name in held),
        tuple(row["careless"]),
        tuple([shut[0] for shut in await database.read(_SHUT_OUT)]),
        row["delegates"],
        row["schema"] if row["schema"] != "public" else None,
        row["member"],
    )


async def directories_in_use(database: Database) -> Mapping[str, str]:
    """Each outside directory that tenants chose, with one of those tenants. Raises Refusal(UNAVAILABLE)."""
    return {row[0]: row[1] for row in await database.read(_IN_USE)}


async def _held(database: Database, rights: tuple[Right, ...]) -> set[str]:
    rows = await database.read(_RIGHTS, [table for table, _ in rights], [privilege for _, privilege in rights])
    return {row[0] for row in rows}
