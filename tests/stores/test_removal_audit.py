"""What the audit keeps of removals, in memory and on Postgres: one entry for each QUIT and each step of the retention.

RFC 1939 §6: the UPDATE state removes; whoever did is told of afterwards, once, however often the removal is repeated.
"""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from service.model.refusal import Reason, Refusal
from service.model.trail import Trail
from service.stores.postgres.database import Database
from service.stores.postgres.index import PostgresMessageIndex
from service.stores.postgres.sweep import PostgresSweepable
from service.stores.postgres.tenancy.audit import OF_TARGET
from tests.stores.test_migrations import as_login
from tests.stores.worlds import PostgresWorld, World, deliver, message, one_maildrop

OLDER, NEWER = b"\x01" * 16, b"\x02" * 16
ALICE = "alice@acme.example"
TRAIL = Trail("5e5510", "192.0.2.7", "PLAIN", "phone")


async def test_a_removal_leaves_one_entry_that_says_how_much_and_by_whom(world: World) -> None:
    key = await one_maildrop(world)
    await deliver(world, key, message(100), message(200), message(400))
    await world.index.open(key, OLDER)
    await world.index.remove(key, OLDER, [1, 3], TRAIL)
    (entry,) = await world.audit(key.tenant_id)
    assert (entry.actor, entry.action, entry.subject) == (f"client:{ALICE}", "messages.remove", ALICE)
    by = {"session": "5e5510", "client": "192.0.2.7", "mechanism": "PLAIN", "credential": "phone"}
    assert entry.details == {"messages": 2, "octets": 500} | by


async def test_a_repetition_under_the_same_fence_leaves_no_second_entry(world: World) -> None:
    key = await one_maildrop(world)
    await deliver(world, key, message(), message())
    await world.index.open(key, OLDER)
    for _ in range(3):
        await world.index.remove(key, OLDER, [1], TRAIL)
    await world.index.open(key, NEWER)
    await world.index.remove(key, OLDER, [1], TRAIL)
    assert len(await world.audit(key.tenant_id)) == 1


async def test_a_session_that_lost_its_maildrop_leaves_no_entry(world: World) -> None:
    key = await one_maildrop(world)
    await deliver(world, key, message())
    await world.index.open(key, OLDER)
    await world.index.open(key, NEWER)
    with pytest.raises(Refusal):
        await world.index.remove(key, OLDER, [1], TRAIL)
    assert await world.audit(key.tenant_id) == []


async def test_the_retention_leaves_an_entry_for_each_maildrop(world: World) -> None:
    key = await one_maildrop(world, {"expire_days": 1})
    other = await world.maildrop(key.tenant_id, "bob@acme.example")
    old = datetime.now(UTC) - timedelta(days=3)
    await deliver(world, key, message(100, received=old), message(200, received=old), message())
    await deliver(world, other, message(400, received=old))
    assert await world.sweepable.expire(10) == 3
    assert await world.sweepable.expire(10) == 0
    entries = {entry.subject: entry for entry in await world.audit(key.tenant_id)}
    told = {name: (e.actor, e.action, e.details["messages"], e.details["octets"]) for name, e in entries.items()}
    assert told == {
        ALICE: ("sweep", "messages.expire", 2, 300),
        "bob@acme.example": ("sweep", "messages.expire", 1, 400),
    }


async def test_old_entries_are_forgotten_oldest_first_and_no_more_than_asked(world: World) -> None:
    key = await one_maildrop(world)
    await deliver(world, key, *[message() for _ in range(3)])
    await world.index.open(key, OLDER)
    for sequence in (1, 2, 3):
        await world.index.remove(key, OLDER, [sequence], TRAIL)
    entries = await world.audit(key.tenant_id)
    assert await world.sweepable.forget_audit(entries[0].moment, 10) == 0
    later = datetime.now(UTC) + timedelta(minutes=1)
    assert [await world.sweepable.forget_audit(later, 2) for _ in range(3)] == [2, 1, 0]
    assert await world.audit(key.tenant_id) == []


async def test_a_front_end_adds_an_entry_by_removing_and_in_no_other_way(
    postgres_world: PostgresWorld, migrated_dsn: str
) -> None:
    key = await one_maildrop(postgres_world)
    await deliver(postgres_world, key, message())
    front = await as_login(migrated_dsn, "poplar_front")
    forged = "INSERT INTO audit (tenant_id, actor, action, target) VALUES ($1, 'root', 'tenant.remove', 'acme')"
    for statement in (forged, "DELETE FROM audit WHERE tenant_id = $1"):
        with pytest.raises(Refusal, match="42501"):
            await front.read(statement, key.tenant_id)
    index = PostgresMessageIndex(front)
    await index.open(key, OLDER)
    await index.remove(key, OLDER, [1], Trail("x" * 999, "y" * 999))
    (entry,) = await postgres_world.audit(key.tenant_id)
    assert (entry.actor, entry.details["session"], entry.details["client"]) == (f"client:{ALICE}", "x" * 64, "y" * 64)
    await front.close()


async def test_a_front_end_of_the_release_before_is_audited_too(
    postgres_world: PostgresWorld, migrated_dsn: str
) -> None:
    key = await one_maildrop(postgres_world)
    await deliver(postgres_world, key, message())
    front = await as_login(migrated_dsn, "poplar_front")
    await PostgresMessageIndex(front).open(key, OLDER)
    fence = "01" * 16
    rows = await front.read("SELECT remove_messages($1, $2, $3, $4)", key.tenant_id, key.maildrop_id, fence, [1])
    assert rows[0][0]
    (entry,) = await postgres_world.audit(key.tenant_id)
    assert (entry.details["messages"], entry.details["session"]) == (1, "")
    await front.close()


async def test_the_sweep_forgets_entries_and_reads_only_which_tenants_were_removed(
    postgres_world: PostgresWorld, migrated_dsn: str
) -> None:
    key = await one_maildrop(postgres_world, {"expire_days": 1})
    await deliver(postgres_world, key, message(received=datetime.now(UTC) - timedelta(days=3)))
    sweep: Database = await as_login(migrated_dsn, "poplar_sweep")
    with pytest.raises(Refusal) as refused:
        await sweep.read("SELECT detail FROM audit")
    assert refused.value.reason is Reason.UNAVAILABLE
    assert await PostgresSweepable(sweep).known([key.tenant_id, uuid4()]) == {key.tenant_id}
    assert await PostgresSweepable(sweep).expire(10) == 1
    assert await PostgresSweepable(sweep).forget_audit(datetime.now(UTC) + timedelta(minutes=1), 10) == 1
    await sweep.close()


async def test_the_audit_of_one_maildrop_is_found_by_an_index(postgres_world: PostgresWorld) -> None:
    key = await one_maildrop(postgres_world)
    await postgres_world.owner.execute(
        "INSERT INTO audit (tenant_id, actor, action, target)"
        " SELECT $1, 'a', 'b', 'user' || n FROM generate_series(1, 20000) n",
        key.tenant_id,
    )
    await postgres_world.owner.execute("ANALYZE audit")
    await postgres_world.owner.execute("SET plan_cache_mode = force_generic_plan")
    values = (key.tenant_id, None, 100, None, None, "user7", None, None)
    rows = await postgres_world.owner.fetch(f"EXPLAIN (ANALYZE) {OF_TARGET}", *values)
    assert "audit_target" in "\n".join(row[0] for row in rows)
