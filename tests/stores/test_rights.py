"""Groups that were made after the first migration, or lost their rights: `migrate` gives them what the files gave. G10.

DROP OWNED takes from a role what it was granted in one database, its places in policies too: as if it came later.
"""

import asyncpg
import pytest

from service.stores.postgres import rights
from service.stores.postgres.checkup import check_up
from service.stores.postgres.migrate import migrate
from service.stores.postgres.rights import GROUPS, RIGHTS, ROW_SECURITY
from tests.stores.test_least_privilege import ON_FUNCTIONS, ON_TABLES
from tests.stores.test_migrations import as_login, login_dsn

POLICIES = "SELECT tablename, policyname, roles, qual, with_check FROM pg_policies ORDER BY 1, 2"
Catalogue = list[list[tuple[object, ...]]]


async def catalogue(owner: "asyncpg.Connection[asyncpg.Record]") -> Catalogue:
    found = [await owner.fetch(text) for text in (ON_TABLES, ON_FUNCTIONS, POLICIES)]
    # A set of roles has no order that means anything.
    plain = [[tuple(sorted(v) if isinstance(v, list) else v for v in row.values()) for row in rows] for rows in found]
    return [sorted(rows, key=repr) for rows in plain]


async def test_groups_that_came_later_get_the_rights_that_the_migrations_give(migrated_dsn: str) -> None:
    owner = await asyncpg.connect(migrated_dsn)
    before = await catalogue(owner)
    await owner.execute(f"DROP OWNED BY {', '.join(GROUPS)}")
    assert await catalogue(owner) != before
    assert [await migrate(migrated_dsn) for _ in range(2)] == [[RIGHTS, ROW_SECURITY], []]
    assert await catalogue(owner) == before
    await owner.close()


@pytest.mark.parametrize("group", GROUPS)
async def test_one_group_that_came_later_is_told_of_and_admitted(migrated_dsn: str, group: str) -> None:
    owner = await asyncpg.connect(migrated_dsn)
    before = await catalogue(owner)
    await owner.execute(f"DROP OWNED BY {group}")
    role = group.removeprefix("poplar_")
    if role != "delegate":
        login = await as_login(migrated_dsn, group)
        found = await check_up(login, role)
        assert found.missing
        assert found.member
        await login.close()
    api = await as_login(migrated_dsn, "poplar_api")
    assert (await check_up(api, "api")).delegates is (role != "delegate")
    await api.close()
    assert await migrate(migrated_dsn) == [RIGHTS, ROW_SECURITY]
    assert await catalogue(owner) == before
    await owner.close()


async def test_what_the_owner_may_not_do_is_said_with_the_statement_that_does_it(
    postgres_dsn: str, migrated_template: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The cluster's groups are there for all its databases, so one more stands for the one that isn't."""
    assert migrated_template
    monkeypatch.setattr(rights, "GROUPS", {**GROUPS, "poplar_late": ()})
    connection = await asyncpg.connect(postgres_dsn)
    database = await connection.fetchval("SELECT current_database()")
    humble = f"Humble_{database}"
    await connection.execute(f"CREATE ROLE \"{humble}\" LOGIN PASSWORD 'x'")
    await connection.execute(f'ALTER DATABASE {database} OWNER TO "{humble}"')
    told: list[str] = []
    await migrate(login_dsn(postgres_dsn, humble, "x"), told.append)
    await connection.execute(f'REASSIGN OWNED BY "{humble}" TO CURRENT_USER; DROP OWNED BY "{humble}"')
    await connection.execute(f'DROP ROLE "{humble}"')
    await connection.close()
    assert told == [
        "there is no group poplar_late: CREATE ROLE poplar_late NOLOGIN; then `poplar migrate` gives it its rights",
        f'"{humble}" can\'t act for a tenant\'s own token: GRANT poplar_delegate TO "{humble}"',
    ]
