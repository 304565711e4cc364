"""The port `Tokens`, in memory and on Postgres with the API's own login, and what `TokenOffice` makes of it.

RFC 6750 §5.2: a token is bound to its scope, ends, and can be taken back.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import asyncpg
import pytest

from service.mail.tenancy import Act, AuditQuery, Tenancy
from service.mail.tokens import Issued, TokenOffice
from service.model.refusal import Reason, Refusal
from service.model.token import SERVICE, Scope, TokenKey, TokenView, token_text
from service.stores.memory.state import MemoryState
from service.stores.memory.tenancy import memory_tenancy
from service.stores.memory.tokens import MemoryTokens
from service.stores.postgres.tenancy import postgres_tenancy
from service.stores.postgres.tokens import PostgresTokens
from tests.mail.provider import SetClock
from tests.stores.test_row_security import clerks

HOUR = timedelta(hours=1)


@dataclass(frozen=True)
class World:
    office: TokenOffice
    tenancy: Tenancy
    clock: SetClock

    async def issue(self, name: str = "sync", scope: Scope = Scope.FULL, tenant: str | None = None) -> Issued:
        return await self.office.issue("tester", name, scope, tenant)

    async def every(self) -> list[TokenView]:
        return list(await self.office.tokens.page(None, 100))


@pytest.fixture
async def world(world_dsn: str | None) -> AsyncIterator[World]:
    clock = SetClock(datetime.now(UTC))
    if world_dsn is None:
        state = MemoryState()
        yield World(TokenOffice(MemoryTokens(state), clock), memory_tenancy(state), clock)
        return
    database = await clerks(world_dsn)
    yield World(TokenOffice(PostgresTokens(database), clock), postgres_tenancy(database), clock)
    await database.close()


@pytest.fixture
async def acme(world: World) -> World:
    await world.tenancy.tenants.create(Act("tester", "acme"), {})
    return world


def refused(reason: Reason) -> "pytest.RaisesExc[Refusal]":
    return pytest.raises(Refusal, check=lambda refusal: refusal.reason is reason)


async def test_a_token_opens_what_it_was_issued_for(acme: World) -> None:
    issued = await acme.issue("admin", Scope.TENANT, "acme")
    admitted = await acme.office.admit(issued.text)
    assert (admitted.name, admitted.tenant, admitted.scope) == ("admin", "acme", Scope.TENANT)
    tenant = await acme.tenancy.tenants.find("acme")
    assert tenant is not None
    assert admitted.bound_to == tenant.tenant_id


async def test_a_token_for_the_service_is_bound_to_no_tenant(world: World) -> None:
    admitted = await world.office.admit((await world.issue()).text)
    assert admitted.bound_to is None
    assert admitted.key.tenant_id == SERVICE


async def test_a_wrong_secret_an_unknown_id_and_no_token_at_all_open_nothing(acme: World) -> None:
    issued = await acme.issue()
    for text in (
        "",
        "poplar_",
        issued.text[:-4] + "AAAA",
        token_text(issued.view.key, bytes(32)),
        token_text(TokenKey(SERVICE, uuid4()), bytes(32)),
        token_text(TokenKey(uuid4(), issued.view.key.token_id), bytes(32)),
    ):
        with refused(Reason.CREDENTIALS):
            await acme.office.admit(text)


async def test_a_token_ends_at_its_moment(world: World) -> None:
    issued = await world.office.issue("tester", "brief", Scope.FULL, None, world.clock.now() + HOUR)
    await world.office.admit(issued.text)
    world.clock.move(hours=1)
    with refused(Reason.CREDENTIALS):
        await world.office.admit(issued.text)


async def test_a_revoked_token_opens_nothing_and_its_name_is_free(world: World) -> None:
    first = await world.issue()
    await world.office.tokens.revoke("tester", first.view.key)
    with refused(Reason.CREDENTIALS):
        await world.office.admit(first.text)
    with refused(Reason.NOT_FOUND):
        await world.office.tokens.revoke("tester", first.view.key)
    with refused(Reason.NOT_FOUND):
        await world.office.rotate("tester", first.view)
    second = await world.issue()
    assert (await world.office.named(None, "sync")).key == second.view.key


async def test_a_rotated_token_opens_with_its_new_secret_alone(world: World) -> None:
    before = await world.issue()
    after = await world.office.rotate("tester", before.view, world.clock.now() + HOUR)
    assert after.view.key == before.view.key
    assert after.view.expires is not None
    with refused(Reason.CREDENTIALS):
        await world.office.admit(before.text)
    assert (await world.office.admit(after.text)).key == before.view.key


async def test_its_last_use_is_kept_once_a_minute(world: World) -> None:
    issued = await world.issue()
    uses = []
    for seconds in (0, 59, 2):
        world.clock.move(seconds=seconds)
        await world.office.admit(issued.text)
        uses.append((await world.office.named(None, "sync")).last_used)
    start = world.clock.now() - timedelta(seconds=61)
    assert uses == [start, start, world.clock.now()]


async def test_an_older_use_does_not_hide_a_newer_one(world: World) -> None:
    key, now = (await world.issue()).view.key, world.clock.now()
    await world.office.tokens.used(key, now)
    await world.office.tokens.used(key, now - HOUR)
    assert (await world.office.named(None, "sync")).last_used == now


async def test_a_name_is_taken_once_in_each_tenant(acme: World) -> None:
    await acme.issue()
    await acme.issue("sync", Scope.TENANT, "acme")
    for scope, tenant in ((Scope.READ_ONLY, None), (Scope.TENANT, "acme")):
        with refused(Reason.EXISTS):
            await acme.issue("sync", scope, tenant)


async def test_only_a_token_of_scope_tenant_names_one(acme: World) -> None:
    for scope, tenant in ((Scope.TENANT, None), (Scope.FULL, "acme")):
        with refused(Reason.INVALID):
            await acme.issue("sync", scope, tenant)
    with refused(Reason.INVALID):
        await acme.office.issue("tester", "late", Scope.FULL, None, acme.clock.now())
    with refused(Reason.NOT_FOUND):
        await acme.issue("sync", Scope.TENANT, "nomad")
    assert await acme.every() == []


async def test_a_removed_tenants_tokens_are_gone_even_if_its_name_comes_back(acme: World) -> None:
    issued = await acme.issue("admin", Scope.TENANT, "acme")
    act = Act("tester", "acme")
    await acme.tenancy.tenants.remove(act, cascade=True)
    await acme.tenancy.tenants.create(act, {})
    with refused(Reason.CREDENTIALS):
        await acme.office.admit(issued.text)
    assert await acme.every() == []
    with refused(Reason.NOT_FOUND):
        await acme.office.named("acme", "admin")


async def test_pages_show_every_token_once(acme: World) -> None:
    for number in range(5):
        await acme.issue(f"t{number}")
        await acme.issue(f"t{number}", Scope.TENANT, "acme")
    found: list[TokenView] = []
    while page := await acme.office.tokens.page(found[-1].key if found else None, 3):
        found += page
    assert found == await acme.every()
    assert len({view.key for view in found}) == 10


async def test_each_change_is_in_the_audit_and_never_a_secret(acme: World) -> None:
    issued = await acme.issue()
    rotated = await acme.office.rotate("rita", issued.view)
    await acme.office.tokens.revoke("rita", issued.view.key)
    await acme.issue("admin", Scope.TENANT, "acme")
    entries = await acme.tenancy.audit.page(None, AuditQuery())
    acts = [(entry.actor, entry.action, entry.subject) for entry in entries]
    assert acts == [
        ("rita", "token.revoke", "sync"),
        ("rita", "token.rotate", "sync"),
        ("tester", "token.create", "sync"),
    ]
    assert (await acme.tenancy.audit.page("acme", AuditQuery(action="token.create")))[0].subject == "admin"
    assert issued.text[-20:] not in repr(entries)
    assert rotated.text[-20:] not in repr((issued, rotated))


async def test_what_is_kept_is_a_digest(migrated_dsn: str) -> None:
    database = await clerks(migrated_dsn)
    issued = await TokenOffice(PostgresTokens(database), SetClock()).issue("tester", "sync", Scope.FULL)
    await database.close()
    connection = await asyncpg.connect(migrated_dsn)
    rows = await connection.fetch("TABLE tokens")
    plan = await connection.fetch(
        "EXPLAIN SELECT 1 FROM tokens WHERE tenant_id = $1 AND token_id = $2", SERVICE, issued.view.key.token_id
    )
    await connection.close()
    assert len(rows[0]["digest"]) == 32
    assert "tokens_pkey" in str(plan)
    assert issued.text not in str(rows)
