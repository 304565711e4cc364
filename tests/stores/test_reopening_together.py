"""Maildrops of many sessions opened again in one statement: each as if alone, and none waits for another's lock.

RFC 1939 §4: the newest session's fence is written with the same look that finds nothing changed. G3, G4, G11, G16.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from uuid import UUID

import pytest

from service.mail.turns import Bounds, Turns
from service.mail.whose import WHOSE
from service.model.account import Account
from service.model.listing import DropListing
from service.model.refusal import Reason, Refusal
from service.stores.observing import Unobserved
from service.stores.postgres.database import Database, DatabaseOptions
from service.stores.postgres.fair import FairDatabase
from service.stores.postgres.reopening import PostgresReopening
from tests.stores.test_migrations import as_login
from tests.stores.wiretap import Wiretap, tapped
from tests.stores.worlds import PostgresWorld, Secret, deliver, message, one_maildrop

OLD = b"\x01" * 16
HOLD = "SELECT FROM fences WHERE tenant_id = $1 AND maildrop_id = $2 FOR NO KEY UPDATE"


@dataclass
class Sessions:
    tap: Wiretap
    database: Database
    reopening: PostgresReopening

    def begin(self, *accounts: Account) -> "list[asyncio.Task[DropListing | None]]":
        """All at the same time, each under its own fence."""
        return [asyncio.create_task(self.reopening.reopen(each, fence_of(each))) for each in accounts]


def fence_of(account: Account) -> bytes:
    return account.key.maildrop_id.bytes


@pytest.fixture
async def sessions(migrated_dsn: str) -> AsyncIterator[Sessions]:
    async with tapped(migrated_dsn) as (tap, dsn):
        database = Database(dsn, DatabaseOptions(connections=4, attempt=8.0))
        await database.open()
        yield Sessions(tap, database, PostgresReopening(database))
        await database.close()


async def opened_before(world: PostgresWorld, count: int) -> list[Account]:
    """Accounts as their last login saw them."""
    first = await one_maildrop(world)
    keys = [first, *[await world.maildrop(first.tenant_id, f"u{n}@acme.example") for n in range(1, count)]]
    for key in keys:
        await world.credential(key, Secret("verifier"))
        await world.index.open(key, OLD)
    names = ["alice", *(f"u{n}" for n in range(1, count))]
    accounts = [await world.directory.find(f"{name}@acme.example") for name in names]
    return [account for account in accounts if account is not None]


async def fences(world: PostgresWorld, accounts: Sequence[Account]) -> list[bytes]:
    rows = await world.owner.fetch("SELECT maildrop_id, fence FROM fences")
    by_maildrop: dict[UUID, UUID] = {row["maildrop_id"]: row["fence"] for row in rows}
    return [by_maildrop[account.key.maildrop_id].bytes for account in accounts]


async def test_forty_sessions_at_once_take_a_few_statements_and_each_has_its_own_fence_and_listing(
    postgres_world: PostgresWorld, sessions: Sessions
) -> None:
    accounts = await opened_before(postgres_world, 40)
    await asyncio.gather(*sessions.begin(accounts[0]))
    for n, account in enumerate(accounts[:5]):
        for _ in range(n):
            await deliver(postgres_world, account.key, message(100 + n))
    before = sessions.tap.round_trips
    drops = await asyncio.gather(*sessions.begin(*accounts))
    # Three statements; a connection more may have to be made and each kind of statement prepared on both.
    assert sessions.tap.round_trips - before <= 12
    assert [drop.messages for drop in drops if drop] == [0, 1, 2, 3, 4, *[0] * 35]
    assert await fences(postgres_world, accounts) == list(map(fence_of, accounts))
    assert drops[4] == await postgres_world.index.open(accounts[4].key, OLD)


async def test_g11_one_that_has_changed_is_not_opened_and_the_others_are(
    postgres_world: PostgresWorld, sessions: Sessions
) -> None:
    accounts = await opened_before(postgres_world, 5)
    await postgres_world.credential(accounts[1].key, Secret("another", label="another"))
    await postgres_world.set_status(accounts[2].key, "suspended")
    await postgres_world.set_status(accounts[3].key, "removed")
    drops = await asyncio.gather(*sessions.begin(*accounts))
    assert [drop is None for drop in drops] == [False, True, True, True, False]
    expected = [fence_of(accounts[0]), OLD, OLD, OLD, fence_of(accounts[4])]
    assert await fences(postgres_world, accounts) == expected


async def test_a_maildrop_that_was_removed_since_it_was_looked_up_is_not_opened(
    postgres_world: PostgresWorld, sessions: Sessions
) -> None:
    accounts = await opened_before(postgres_world, 3)
    keys = [account.key for account in accounts]
    await postgres_world.set_status(keys[1], "removed")
    # What the look-up found, as the same statement passes it on.
    found = await sessions.database.read(
        "SELECT place FROM open_maildrops_together($1::bigint[], $2::uuid[], $3::uuid[], $4::uuid[])",
        [1, 2, 3],
        [key.tenant_id for key in keys],
        [key.maildrop_id for key in keys],
        [fence_of(account).hex() for account in accounts],
    )
    assert sorted(place for (place,) in found) == [1, 3]
    assert await fences(postgres_world, accounts) == [fence_of(accounts[0]), OLD, fence_of(accounts[2])]


async def test_a_maildrop_whose_fence_was_lost_is_opened_all_the_same(
    postgres_world: PostgresWorld, sessions: Sessions
) -> None:
    accounts = await opened_before(postgres_world, 3)
    await postgres_world.lose_fences()
    drops = await asyncio.gather(*sessions.begin(*accounts))
    assert None not in drops
    assert await fences(postgres_world, accounts) == list(map(fence_of, accounts))


async def test_nobody_waits_for_a_maildrop_in_which_another_transaction_is_at_work(
    postgres_world: PostgresWorld, sessions: Sessions
) -> None:
    world = postgres_world
    held, *others = accounts = await opened_before(world, 4)
    async with world.owner.transaction():
        await world.owner.execute(HOLD, held.key.tenant_id, held.key.maildrop_id)
        waiting, *rest = sessions.begin(*accounts)
        async with asyncio.timeout(20):
            assert None not in await asyncio.gather(*rest)
        assert await fences(world, others) == list(map(fence_of, others))
        assert not waiting.done()
    assert await waiting is not None
    assert await fences(world, accounts) == list(map(fence_of, accounts))


async def test_g3_what_a_removal_that_was_waited_for_left_is_what_is_counted(
    postgres_world: PostgresWorld, sessions: Sessions
) -> None:
    world = postgres_world
    accounts = await opened_before(world, 3)
    for account in accounts:
        await deliver(world, account.key, message(500))
    key = accounts[1].key
    async with world.owner.transaction():
        await world.owner.execute(
            "SELECT remove_messages($1, $2, $3, ARRAY[1::bigint])", key.tenant_id, key.maildrop_id, OLD.hex()
        )
        tasks = sessions.begin(*accounts)
        await asyncio.gather(tasks[0], tasks[2])
    drops = await asyncio.gather(*tasks)
    assert [drop.messages for drop in drops if drop] == [1, 0, 1]


async def test_two_sessions_of_one_maildrop_are_opened_one_after_the_other(
    postgres_world: PostgresWorld, sessions: Sessions
) -> None:
    accounts = await opened_before(postgres_world, 2)
    drops = await asyncio.gather(*sessions.begin(accounts[0], accounts[1], accounts[0]))
    assert None not in drops
    assert await fences(postgres_world, accounts) == list(map(fence_of, accounts))


async def test_a_session_that_waits_for_its_fence_alone_keeps_nobody_waiting(
    postgres_world: PostgresWorld, sessions: Sessions
) -> None:
    world = postgres_world
    held, *others = await opened_before(world, 4)
    async with world.owner.transaction():
        await world.owner.execute(HOLD, held.key.tenant_id, held.key.maildrop_id)
        (waiting,) = sessions.begin(held)
        await until_blocked(world)
        async with asyncio.timeout(20):
            assert None not in await asyncio.gather(*sessions.begin(*others))
        assert not waiting.done()
    assert await waiting is not None


async def until_blocked(world: PostgresWorld) -> None:
    async with asyncio.timeout(20):
        while not await world.owner.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"):  # noqa: ASYNC110
            await asyncio.sleep(0.005)


@pytest.mark.timeout(120)
async def test_g3_who_is_opened_beside_a_removal_sees_all_of_it_or_prevents_it(
    postgres_world: PostgresWorld, sessions: Sessions
) -> None:
    world = postgres_world
    accounts = await opened_before(world, 4)
    outcomes = set()
    for round_ in range(60):
        for account in accounts:
            await deliver(world, account.key, message(100))
        opened = [await world.index.open(account.key, OLD) for account in accounts]
        tasks = [asyncio.create_task(removed(world, each, drop)) for each, drop in zip(accounts, opened, strict=True)]
        await asyncio.sleep(0.0002 * (round_ % 10))
        drops = await asyncio.gather(*sessions.begin(*accounts))
        for drop, before, was in zip(drops, opened, await asyncio.gather(*tasks), strict=True):
            assert drop is not None
            assert drop.messages == before.messages - was
            outcomes.add(was)
    assert outcomes == {True, False}


async def removed(world: PostgresWorld, account: Account, drop: DropListing) -> bool:
    """Whether the session that was the newest could remove the last message."""
    try:
        await world.index.remove(account.key, OLD, [drop.upto])
    except Refusal as refusal:
        if refusal.reason is not Reason.LOST:
            raise
        return False
    return True


async def test_an_answer_that_is_lost_is_asked_for_again(postgres_world: PostgresWorld, sessions: Sessions) -> None:
    accounts = await opened_before(postgres_world, 5)
    await asyncio.gather(*sessions.begin(*accounts))
    sessions.tap.lose = 1
    drops = await asyncio.gather(*sessions.begin(*accounts))
    assert None not in drops
    assert await fences(postgres_world, accounts) == list(map(fence_of, accounts))


async def test_g14_while_postgres_is_away_each_is_refused_for_now(
    postgres_world: PostgresWorld, migrated_dsn: str
) -> None:
    accounts = await opened_before(postgres_world, 5)
    async with tapped(migrated_dsn) as (tap, dsn):
        tap.refuse = True
        database = Database(dsn, DatabaseOptions(connections=4, attempt=0.2, deadline=0.5))
        await database.open()
        begun = Sessions(tap, database, PostgresReopening(database)).begin(*accounts)
        found = await asyncio.gather(*begun, return_exceptions=True)
        await database.close()
    assert [each.reason for each in found if isinstance(each, Refusal)] == [Reason.UNAVAILABLE] * 5


async def test_a_front_end_may_do_all_of_it_with_its_own_login(
    postgres_world: PostgresWorld, migrated_dsn: str
) -> None:
    accounts = await opened_before(postgres_world, 5)
    async with tapped(migrated_dsn) as (tap, dsn):
        database = await as_login(dsn, "poplar_front")
        reopening = PostgresReopening(database)
        try:
            assert None not in await asyncio.gather(*(reopening.reopen(each, OLD) for each in accounts))
            before = tap.round_trips
            assert None not in await asyncio.gather(*(reopening.reopen(each, fence_of(each)) for each in accounts))
            assert tap.round_trips - before == 1
        finally:
            await database.close()
    assert await fences(postgres_world, accounts) == list(map(fence_of, accounts))


@pytest.mark.parametrize("already", [True, False], ids=["when it asks", "by the time that it is sent"])
async def test_g16_where_connections_are_scarce_no_login_stands_in_another_tenants_line(
    postgres_world: PostgresWorld, migrated_dsn: str, already: bool
) -> None:
    world = postgres_world
    accounts = await opened_before(world, 4)
    other = await world.tenant("else")
    await world.domain(other, "else.example")
    key = await world.maildrop(other, "ben@else.example")
    await world.credential(key, Secret("verifier"))
    light = await world.directory.find("ben@else.example")
    assert light is not None
    turns = Turns("database", Bounds(2))
    database = FairDatabase(migrated_dsn, DatabaseOptions(connections=2), Unobserved(), turns, WHOSE.get)
    await database.open()
    reopening, order = PostgresReopening(database), list[str]()

    def begin(account: Account, what: str) -> asyncio.Task[None]:
        async def opened() -> None:
            WHOSE.set(account.key.tenant_id)
            await reopening.reopen(account, fence_of(account))
            order.append(what)

        return asyncio.create_task(opened())

    async def listing() -> None:
        WHOSE.set(accounts[0].key.tenant_id)
        await database.read("SELECT pg_sleep(0.1)")
        order.append("heavy listing")

    tasks = list[asyncio.Task[None]]()

    def log_in() -> None:
        tasks.extend([*(begin(account, "heavy login") for account in accounts), begin(light, "light login")])

    if not already:
        log_in()
        await asyncio.sleep(0)
    assert turns.try_take("others", 2)
    tasks += [asyncio.create_task(listing()) for _ in range(10)]
    if already:
        log_in()
    await asyncio.sleep(0.2)
    assert order == []
    assert database.stats().waiting >= 11
    turns.give_back("others", 2)
    await asyncio.gather(*tasks)
    await database.close()
    # What it takes to prepare its statement is time for one or two of theirs more.
    assert order.index("light login") <= 4
