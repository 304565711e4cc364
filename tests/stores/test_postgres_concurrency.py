"""Sessions and deliveries at once on Postgres: one remover, distinct sequences, no deadlock. G1, G3, G4, G9.

RFC 1939 §4: the lock is exclusive; here the fence alone decides. Nothing in this file relies on Redis.
"""

import asyncio
import secrets
from collections.abc import Awaitable

import pytest

from service.model.account import MaildropKey
from service.model.refusal import Reason, Refusal
from service.model.shown import EVERYTHING, Shown
from tests.stores.worlds import PostgresWorld, deliver, message, one_maildrop, recipient

FENCE = b"\x01" * 16


async def outcome(write: Awaitable[object]) -> Reason | None:
    try:
        await write
    except Refusal as refusal:
        return refusal.reason
    return None


async def consistent(world: PostgresWorld, key: MaildropKey) -> int:
    """How many messages the maildrop lists, after proving that its counters tell the truth."""
    return len(await world.index.listing(key, await world.index.open(key, secrets.token_bytes(16))))


async def test_of_two_sessions_that_race_to_remove_one_removes_and_the_other_is_told(
    postgres_world: PostgresWorld,
) -> None:
    key = await one_maildrop(postgres_world)
    for _ in range(20):
        await deliver(postgres_world, key, message(), message())
        before = await consistent(postgres_world, key)
        fences = [secrets.token_bytes(16) for _ in range(2)]
        drops = await asyncio.gather(*(postgres_world.index.open(key, fence) for fence in fences))
        newest = [drop.upto for drop in drops]
        outcomes = await asyncio.gather(
            *(outcome(postgres_world.index.remove(key, f, [n])) for f, n in zip(fences, newest, strict=True))
        )
        assert set(outcomes) == {None, Reason.LOST}
        assert await consistent(postgres_world, key) == before - 1


@pytest.mark.parametrize("shown", [EVERYTHING, Shown(days=30)])
async def test_a_session_that_opens_while_another_removes_lists_what_it_counts(
    postgres_world: PostgresWorld, shown: Shown
) -> None:
    key = await one_maildrop(postgres_world)
    for _ in range(20):
        await deliver(postgres_world, key, message(1), message(20), message(300))
        fence, newer = secrets.token_bytes(16), secrets.token_bytes(16)
        upto = (await postgres_world.index.open(key, fence)).upto
        removal = outcome(postgres_world.index.remove(key, fence, [upto, upto - 1]))
        drop, removed, _ = await asyncio.gather(
            postgres_world.index.open(key, newer, shown), removal, deliver(postgres_world, key, message(4000))
        )
        listing = await postgres_world.index.listing(key, drop)
        assert (len(listing), sum(listing.octets)) == (drop.messages, drop.octets)
        listed = set(listing.sequences)
        assert {upto, upto - 1} <= listed if removed is Reason.LOST else not {upto, upto - 1} & listed


async def test_concurrent_appends_get_distinct_sequences_without_a_gap(postgres_world: PostgresWorld) -> None:
    key = await one_maildrop(postgres_world)
    await asyncio.gather(*(deliver(postgres_world, key, message(n + 1)) for n in range(20)))
    drop = await postgres_world.index.open(key, FENCE)
    listing = await postgres_world.index.listing(key, drop)
    assert list(listing.sequences) == list(range(1, 21))
    assert sorted(listing.octets) == list(range(1, 21))


async def test_the_same_message_appended_at_once_by_many_is_stored_once(postgres_world: PostgresWorld) -> None:
    key = await one_maildrop(postgres_world)
    once = message()
    await asyncio.gather(*(deliver(postgres_world, key, once) for _ in range(10)))
    assert await consistent(postgres_world, key) == 1


async def test_imports_at_once_give_a_unique_id_to_one_message(postgres_world: PostgresWorld) -> None:
    """G7."""
    key = await one_maildrop(postgres_world)
    await asyncio.gather(
        *(deliver(postgres_world, key, *(message(imported_unique_id=f"u{n}") for n in range(5))) for _ in range(4))
    )
    listing = await postgres_world.index.listing(key, await postgres_world.index.open(key, FENCE))
    assert sorted(listing.imported.values()) == [f"u{n}" for n in range(5)]


async def test_a_quota_holds_against_concurrent_appends(postgres_world: PostgresWorld) -> None:
    key = await one_maildrop(postgres_world, {"quota_messages": 5})
    outcomes = await asyncio.gather(*(postgres_world.index.append([(recipient(key), message())]) for _ in range(20)))
    assert [refused for (refused,) in outcomes].count(None) == 5
    assert await consistent(postgres_world, key) == 5


async def test_crossed_recipients_do_not_deadlock(postgres_world: PostgresWorld) -> None:
    alice = await one_maildrop(postgres_world)
    bob = await postgres_world.maildrop(alice.tenant_id, "bob@acme.example")
    orders = ([alice, bob], [bob, alice])
    await asyncio.gather(
        *(postgres_world.index.append([(recipient(key), message()) for key in orders[n % 2] * 10]) for n in range(20))
    )
    assert [await consistent(postgres_world, key) for key in (alice, bob)] == [200, 200]
    assert await deadlocks(postgres_world) == 0


async def deadlocks(world: PostgresWorld) -> int:
    """How many deadlocks this database has seen; repetition would hide them from the outcome."""
    statistics = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
    await world.database.close()
    return int(await world.owner.fetchval(statistics))


async def test_deliveries_removals_and_the_sweep_at_once_keep_the_counters_true(postgres_world: PostgresWorld) -> None:
    key = await one_maildrop(postgres_world, {"expire_days": 1})
    await deliver(postgres_world, key, *(message(n + 1) for n in range(50)))

    async def session(first: int) -> None:
        fence = secrets.token_bytes(16)
        drop = await postgres_world.index.open(key, fence)
        listing = await postgres_world.index.listing(key, drop)
        assert len(listing) == drop.messages
        await outcome(postgres_world.index.remove(key, fence, list(range(first, first + 5))))

    await postgres_world.owner.execute("UPDATE messages SET received = now() - interval '2 days' WHERE sequence > 40")
    await asyncio.gather(
        *(session(1 + 5 * n) for n in range(8)),
        *(deliver(postgres_world, key, message(7)) for _ in range(20)),
        *(postgres_world.sweepable.expire(3) for _ in range(4)),
    )
    assert await postgres_world.sweepable.expire(100) >= 0
    left = await consistent(postgres_world, key)
    live = await postgres_world.owner.fetch("SELECT count(*), sum(octets) FROM messages WHERE removed_at IS NULL")
    counted = await postgres_world.owner.fetch("SELECT messages, octets FROM maildrops")
    assert tuple(live[0]) == tuple(counted[0])
    assert left >= 20
    assert await deadlocks(postgres_world) == 0
