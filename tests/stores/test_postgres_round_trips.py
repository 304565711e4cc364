"""How often Postgres is asked, counted on the wire: one round trip a login step, whatever the name, whatever the drop.

RFC 1939 §5: STAT needs only counters; the listing comes packed, however many messages there are.
"""

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

import pytest

from service.model.account import MaildropKey
from service.model.address import parse_address
from service.model.aftermath import Aftermath
from service.model.shown import Shown
from service.model.trail import NO_TRAIL
from service.stores.postgres.database import Database, DatabaseOptions
from service.stores.postgres.directory import PostgresDirectory
from service.stores.postgres.index import OPEN_SINCE, PostgresMessageIndex
from service.stores.postgres.listing import LISTING, LISTING_SINCE, PAGE
from service.stores.postgres.sweep import DUE, REMOVED
from tests.stores.wiretap import Wiretap, tapped
from tests.stores.worlds import PostgresWorld, deliver, message, one_maildrop, recipient

FENCE = b"\x01" * 16
MANY = 100_000

FILL = """
INSERT INTO messages (tenant_id, maildrop_id, sequence, octets, header_octets, received, unique_id, dotted, sha256,
                      blob_key, imported_unique_id)
SELECT $1, $2, n, n, 0, now(), gen_random_uuid(), false, sha256('x'), 'k' || n,
       CASE WHEN n % 10000 = 0 THEN 'kept-' || n END
FROM generate_series(1, $3::bigint) AS n
"""
COUNT = """
UPDATE maildrops SET messages = $3::bigint, octets = $3::bigint * ($3::bigint + 1) / 2, next_sequence = $3::bigint + 1
WHERE tenant_id = $1 AND maildrop_id = $2
"""


@dataclass
class Tapped:
    tap: Wiretap
    directory: PostgresDirectory
    index: PostgresMessageIndex

    async def trips(self, ask: Callable[[], Awaitable[object]]) -> int:
        """Round trips of `ask` once its statement is prepared on the one connection."""
        await ask()
        before = self.tap.round_trips
        await ask()
        return self.tap.round_trips - before


@pytest.fixture
async def wire(migrated_dsn: str) -> AsyncIterator[Tapped]:
    async with tapped(migrated_dsn) as (tap, dsn):
        database = Database(dsn, DatabaseOptions(connections=1, attempt=8.0))
        await database.open()
        yield Tapped(tap, PostgresDirectory(database), PostgresMessageIndex(database))
        await database.close()


async def fill(world: PostgresWorld, key: MaildropKey, messages: int) -> None:
    for statement in (FILL, COUNT):
        await world.owner.execute(statement, key.tenant_id, key.maildrop_id, messages)


@pytest.mark.parametrize("name", ["alice@acme.example", "bob@acme.example", "nobody@nowhere.example", "", "\x00"])
async def test_every_name_costs_one_round_trip_known_or_not(
    postgres_world: PostgresWorld, wire: Tapped, name: str
) -> None:
    await one_maildrop(postgres_world)
    assert await wire.trips(lambda: wire.directory.find(name)) == 1


async def test_resolving_opening_listing_locating_and_removing_cost_one_round_trip_each(
    postgres_world: PostgresWorld, wire: Tapped
) -> None:
    key = await one_maildrop(postgres_world)
    await deliver(postgres_world, key, message(), message())
    part = await wire.index.open(key, FENCE, Shown(days=30))
    drop = await wire.index.open(key, FENCE)
    for ask in (
        lambda: wire.directory.resolve(parse_address("alice@acme.example")),
        wire.directory.announced,
        lambda: wire.index.open(key, FENCE),
        lambda: wire.index.open(key, FENCE, Shown(days=30)),
        lambda: wire.index.listing(key, drop),
        lambda: wire.index.listing(key, part),
        lambda: wire.index.locate(key, [1, 2]),
        lambda: wire.index.remove(key, FENCE, [1]),
        lambda: wire.index.remove(key, FENCE, [1], NO_TRAIL, Aftermath([2], 30)),
    ):
        assert await wire.trips(ask) == 1


async def test_an_append_to_many_recipients_costs_one_round_trip(postgres_world: PostgresWorld, wire: Tapped) -> None:
    key = await one_maildrop(postgres_world)
    keys = [key] + [await postgres_world.maildrop(key.tenant_id, f"u{n}@acme.example") for n in range(20)]
    assert await wire.trips(lambda: wire.index.append([(recipient(each), message()) for each in keys])) == 1


async def test_a_hundred_thousand_messages_are_listed_in_one_round_trip(
    postgres_world: PostgresWorld, wire: Tapped
) -> None:
    key = await one_maildrop(postgres_world)
    await fill(postgres_world, key, MANY)
    drop = await wire.index.open(key, FENCE)
    listing = await wire.index.listing(key, drop)
    assert await wire.trips(lambda: wire.index.listing(key, drop)) == 1
    assert (len(listing), listing.octets[0], listing.octets[MANY - 1]) == (MANY, 1, MANY)
    assert len({listing.unique_id(n) for n in range(1, MANY + 1)}) == MANY
    assert listing.imported == {n: f"kept-{n}" for n in range(10_000, MANY + 1, 10_000)}


@pytest.mark.parametrize(("messages", "page", "pieces"), [(5, 2, 9), (6, 2, 1), (7, 4, 2), (9, 9, 3), (8, 20, 3)])
async def test_g9_a_listing_that_takes_several_pages_is_the_same(
    postgres_world: PostgresWorld, monkeypatch: pytest.MonkeyPatch, messages: int, page: int, pieces: int
) -> None:
    key, index = await one_maildrop(postgres_world), postgres_world.index
    sent = [message(n, imported_unique_id=f"kept-{n}" if n % 2 else None) for n in range(1, messages + 1)]
    await deliver(postgres_world, key, *sent)
    await index.open(key, FENCE)
    await index.remove(key, FENCE, [2])
    drop = await index.open(key, FENCE)
    whole = await index.listing(key, drop)
    monkeypatch.setattr("service.stores.postgres.index.PAGE", page)
    # A page is taken in pieces, which don't end where pages do.
    monkeypatch.setattr("service.stores.postgres.listing.PIECE", pieces)
    paged = await index.listing(key, drop)
    assert (paged.sequences, paged.octets, paged.unique_ids) == (whole.sequences, whole.octets, whole.unique_ids)
    assert dict(paged.imported) == dict(whole.imported) == {n: f"kept-{n}" for n in range(1, messages + 1, 2)}


async def test_a_listing_is_read_from_the_index_alone(postgres_world: PostgresWorld) -> None:
    key = await one_maildrop(postgres_world)
    await fill(postgres_world, key, 5_000)
    await postgres_world.owner.execute("VACUUM (ANALYZE) messages")
    await postgres_world.owner.execute("SET enable_seqscan = off; SET enable_bitmapscan = off")
    rows = await postgres_world.owner.fetch(f"EXPLAIN {LISTING}", key.tenant_id, key.maildrop_id, 5_000, 0, 0, PAGE)
    plan = "\n".join(row[0] for row in rows)
    assert "Index Only Scan using messages_pkey" in plan
    assert "Sort" not in plan


SCANS = "SELECT idx_scan, idx_tup_read FROM pg_stat_user_indexes WHERE indexrelname = 'messages_shown'"


async def test_a_part_is_counted_by_an_index_and_read_from_its_first_message_on(postgres_world: PostgresWorld) -> None:
    key, owner = await one_maildrop(postgres_world), postgres_world.owner
    await fill(postgres_world, key, 5_000)
    await owner.execute("UPDATE messages SET received = now() - interval '9 days' WHERE sequence <= 4900")
    await owner.execute("VACUUM (ANALYZE) messages")
    await owner.execute("SET enable_seqscan = off; SET enable_bitmapscan = off")
    # As the service has it: a plan for any values, not for those at hand.
    await owner.execute("SET plan_cache_mode = force_generic_plan")
    values = (key.tenant_id, key.maildrop_id)
    row = await owner.fetchrow(OPEN_SINCE, *values, UUID(bytes=FENCE), None, 7)
    assert row is not None
    assert (row["messages"], row["first"]) == (100, 4901)
    await owner.execute("SELECT pg_stat_force_next_flush()")
    await owner.execute("SELECT pg_stat_clear_snapshot()")
    assert tuple(await owner.fetchrow(SCANS) or ()) == (1, 100)
    frozen = (row["upto"], row["removals"], row["first"] - 1, PAGE, row["since"])
    plan = "\n".join(line[0] for line in await owner.fetch(f"EXPLAIN {LISTING_SINCE}", *values, *frozen))
    assert re.search(r"Index Scan using messages_pkey.*\n.*Index Cond:.*sequence > ", plan), plan


async def test_the_sweep_finds_what_is_due_by_indexes_alone(postgres_world: PostgresWorld) -> None:
    key = await one_maildrop(postgres_world, {"retrieved_days": 1, "expire_days": 1})
    await fill(postgres_world, key, 5_000)
    await postgres_world.index.open(key, FENCE)
    await postgres_world.index.remove(key, FENCE, [1, 2], NO_TRAIL, Aftermath([3, 4], 30))
    await postgres_world.owner.execute("VACUUM (ANALYZE) messages")
    await postgres_world.owner.execute("SET enable_seqscan = off; SET enable_bitmapscan = off")
    for statement, values, indexes in (
        (DUE, (100,), {"messages_shown", "messages_retrieved"}),
        (REMOVED, (datetime.now(UTC), 100), {"messages_forgettable", "messages_kept"}),
    ):
        plan = "\n".join(row[0] for row in await postgres_world.owner.fetch(f"EXPLAIN {statement}", *values))
        assert set(re.findall(r"Scan using (messages_\w+)", plan)) == indexes, plan


async def test_counters_change_without_touching_an_index(postgres_world: PostgresWorld) -> None:
    key = await one_maildrop(postgres_world)
    for _ in range(5):
        await deliver(postgres_world, key, message())
        await postgres_world.index.open(key, FENCE)
    await postgres_world.database.close()
    await postgres_world.owner.execute("SELECT pg_stat_clear_snapshot()")
    for table in ("maildrops", "fences"):
        rows = await postgres_world.owner.fetch(
            "SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = $1", table
        )
        assert rows[0]["n_tup_upd"] == rows[0]["n_tup_hot_upd"] > 0
