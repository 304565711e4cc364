"""Deliveries of many senders in one statement: each gets its own outcome, and nobody waits for another's maildrop.

RFC 2033 §4.2: a reply for each recipient. G1, G3, G10, G18.
"""

import asyncio
from collections.abc import AsyncIterator
from uuid import uuid4

import pytest

from service.mail.ports import Directory
from service.model.account import MaildropKey, Recipient
from service.model.address import Address, parse_address
from service.model.message import NewMessage
from service.model.refusal import Reason, Refusal
from service.stores.postgres.database import Database, DatabaseOptions
from service.stores.postgres.deliveries import DeliveryDirectory, DeliveryIndex
from tests.stores.wiretap import Wiretap, tapped
from tests.stores.worlds import PostgresWorld, message, one_maildrop, recipient

FENCE = b"\x01" * 16


class Senders:
    def __init__(self, tap: Wiretap, database: Database) -> None:
        self.tap = tap
        self.index = DeliveryIndex(database)
        self.directory = DeliveryDirectory(database)

    async def deliver(self, *arrivals: tuple[MaildropKey, NewMessage]) -> list[Reason | None]:
        """All at the same time, each by itself."""
        given = [self.index.append([(recipient(key), each)]) for key, each in arrivals]
        outcomes = [refusal for (refusal,) in await asyncio.gather(*given)]
        return [refusal.reason if refusal else None for refusal in outcomes]

    async def resolve(self, *addresses: str) -> list[Recipient | Reason]:
        return await asyncio.gather(*(resolved(self.directory, parse_address(each)) for each in addresses))


async def resolved(directory: Directory, address: Address) -> Recipient | Reason:
    try:
        return await directory.resolve(address)
    except Refusal as refusal:
        return refusal.reason


@pytest.fixture
async def senders(migrated_dsn: str) -> AsyncIterator[Senders]:
    async with tapped(migrated_dsn) as (tap, dsn):
        database = Database(dsn, DatabaseOptions(connections=4, attempt=8.0))
        await database.open()
        yield Senders(tap, database)
        await database.close()


async def maildrops(world: PostgresWorld, count: int) -> list[MaildropKey]:
    first = await one_maildrop(world)
    others = [await world.maildrop(first.tenant_id, f"u{n}@acme.example") for n in range(1, count)]
    return [first, *others]


async def listed(world: PostgresWorld, key: MaildropKey) -> list[str]:
    listing = await world.index.listing(key, await world.index.open(key, FENCE))
    return [listing.unique_id(n) for n in range(1, len(listing) + 1)]


async def test_g1_forty_deliveries_at_once_take_a_few_statements_and_each_is_listed(
    postgres_world: PostgresWorld, senders: Senders
) -> None:
    keys = await maildrops(postgres_world, 40)
    await senders.deliver((keys[0], message()))
    before = senders.tap.round_trips
    arrivals = [(key, message()) for key in keys]
    assert await senders.deliver(*arrivals) == [None] * 40
    # A connection more may have to be made and the statement prepared on it.
    assert senders.tap.round_trips - before <= 4
    for key, each in arrivals[1:]:
        assert await listed(postgres_world, key) == [each.unique_id.hex]


async def test_each_of_several_gets_its_own_outcome(postgres_world: PostgresWorld, senders: Senders) -> None:
    world = postgres_world
    good, suspended, gone, *_ = keys = await maildrops(world, 4)
    full = await world.maildrop(good.tenant_id, "full@acme.example", {"quota_messages": 1})
    small = await world.maildrop(good.tenant_id, "small@acme.example", {"quota_octets": 5_000})
    assert await senders.deliver((full, message()), (small, message(3_000))) == [None, None]
    await world.set_status(suspended, "suspended")
    await world.set_status(gone, "removed")
    nobody = MaildropKey(good.tenant_id, uuid4())
    outcomes = await senders.deliver(
        *((good, message()), (suspended, message()), (gone, message()), (nobody, message())),
        *((full, message()), (small, message(6_000)), (keys[3], message())),
    )
    assert outcomes == [
        *(None, Reason.SUSPENDED, Reason.NO_RECIPIENT, Reason.NO_RECIPIENT),
        *(Reason.OVER_QUOTA, Reason.NEVER_FITS, None),
    ]
    assert await senders.deliver((small, message(2_500)), (good, message())) == [Reason.OVER_QUOTA, None]
    assert [len(await listed(world, key)) for key in (good, full, small, keys[3])] == [2, 1, 1, 1]


async def test_mail_that_fills_a_quota_to_its_last_octet_is_taken_and_an_octet_more_is_not(
    postgres_world: PostgresWorld, senders: Senders
) -> None:
    (other,) = await maildrops(postgres_world, 1)
    by_two = await postgres_world.maildrop(other.tenant_id, "two@acme.example", {"quota_octets": 5_000})
    by_one = await postgres_world.maildrop(other.tenant_id, "one@acme.example", {"quota_octets": 700})
    for octets, expected in (((3_000, 701), [None, Reason.NEVER_FITS]), ((2_000, 700), [None, None])):
        arrivals = [(key, message(each)) for key, each in zip((by_two, by_one), octets, strict=True)]
        assert await senders.deliver(*arrivals) == expected
    full = [Reason.OVER_QUOTA, Reason.OVER_QUOTA]
    assert await senders.deliver((by_two, message(1)), (by_one, message(1))) == full


async def test_g9_counters_and_numbers_are_right_when_many_are_for_the_same_maildrop(
    postgres_world: PostgresWorld, senders: Senders
) -> None:
    key, other = await maildrops(postgres_world, 2)
    arrivals = [(key if n % 3 else other, message(100 + n)) for n in range(30)]
    assert await senders.deliver(*arrivals) == [None] * 30
    for each, count in ((key, 20), (other, 10)):
        drop = await postgres_world.index.open(each, FENCE)
        listing = await postgres_world.index.listing(each, drop)
        assert list(listing.sequences) == list(range(1, count + 1))
        assert sorted(listing.octets) == [100 + n for n in range(30) if bool(n % 3) is (each == key)]


async def test_g18_what_is_repeated_is_stored_once(postgres_world: PostgresWorld, senders: Senders) -> None:
    key, other = await maildrops(postgres_world, 2)
    once = message()
    assert await senders.deliver((key, once), (other, message()), (key, once), (key, once)) == [None] * 4
    assert await senders.deliver((other, message()), (key, once)) == [None, None]
    assert await listed(postgres_world, key) == [once.unique_id.hex]
    assert (await postgres_world.index.open(key, FENCE)).messages == 1


async def test_a_maildrop_in_which_a_long_removal_is_at_work_keeps_no_other_mail_waiting(
    postgres_world: PostgresWorld, senders: Senders
) -> None:
    held, *others = await maildrops(postgres_world, 8)
    async with postgres_world.database.transaction() as removal:
        await removal.execute("SELECT 1 FROM maildrops WHERE maildrop_id = $1 FOR NO KEY UPDATE", held.maildrop_id)
        waiting = [asyncio.create_task(senders.deliver((held, message()))) for _ in range(3)]
        for _ in range(3):
            assert await senders.deliver(*((key, message()) for key in others)) == [None] * 7
        assert not any(task.done() for task in waiting)
    assert await asyncio.gather(*waiting) == [[None]] * 3
    assert len(await listed(postgres_world, held)) == 3


async def test_what_postgres_cannot_take_hurts_nobody_else(postgres_world: PostgresWorld, senders: Senders) -> None:
    keys = await maildrops(postgres_world, 3)
    good = [senders.index.append([(recipient(key), message())]) for key in keys[:2]]
    bad = senders.index.append([(recipient(keys[2]), message(blob_key="nul\0in it"))])
    *stored, refused = await asyncio.gather(*good, bad, return_exceptions=True)
    assert stored == [[None], [None]]
    assert isinstance(refused, Refusal)
    assert [len(await listed(postgres_world, key)) for key in keys] == [1, 1, 0]


async def test_addresses_are_resolved_together_as_each_would_be(
    postgres_world: PostgresWorld, senders: Senders
) -> None:
    world = postgres_world
    key, other, suspended, *_ = await maildrops(world, 4)
    await world.alias(key, "sales@acme.example")
    await world.set_status(suspended, "suspended")
    tenant = await world.tenant("else")
    await world.domain(tenant, "else.example")
    home = await world.maildrop(tenant, "alice@else.example", {"quota_messages": 0})
    await world.alias(home, "@else.example")
    names = [
        *("alice@acme.example", "u1@acme.example", "sales@acme.example", "u2@acme.example", "alice+tag@acme.example"),
        *("nobody@acme.example", "alice@nowhere.example", "anyone@else.example", "alice@acme.example"),
    ]
    before = senders.tap.round_trips
    found = await senders.resolve(*names)
    assert senders.tap.round_trips - before <= 8
    alone = [await resolved(world.directory, parse_address(name)) for name in names]
    assert found == alone
    assert [each.key for each in found if isinstance(each, Recipient)] == [key, other, key, key, key]


async def test_several_recipients_of_one_text_are_appended_in_one_transaction_of_their_own(
    postgres_world: PostgresWorld, senders: Senders
) -> None:
    keys = await maildrops(postgres_world, 5)
    several = senders.index.append([(recipient(key), message()) for key in keys])
    outcomes, single = await asyncio.gather(several, senders.deliver((keys[0], message())))
    assert (list(outcomes), single) == ([None] * 5, [None])
    assert [len(await listed(postgres_world, key)) for key in keys] == [2, 1, 1, 1, 1]


async def test_g14_a_statement_that_answers_nonsense_refuses_each_for_now_and_is_told_once(
    postgres_world: PostgresWorld, senders: Senders
) -> None:
    """As where a hand or another release changed what the function gives."""
    told: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: told.append(context["exception"]))
    keys = await maildrops(postgres_world, 20)
    signature = await postgres_world.owner.fetchval(
        "SELECT pg_get_function_identity_arguments(oid) FROM pg_proc WHERE proname = 'append_messages_together'"
    )
    await postgres_world.owner.execute("ALTER FUNCTION append_messages_together RENAME TO set_aside")
    await postgres_world.owner.execute(
        f"CREATE FUNCTION append_messages_together({signature}) RETURNS text[] LANGUAGE sql AS 'SELECT NULL::text[]'"
    )
    given = [senders.index.append([(recipient(key), message())]) for key in keys]
    found = await asyncio.gather(*given, return_exceptions=True)
    assert [each.reason for each in found if isinstance(each, Refusal)] == [Reason.UNAVAILABLE] * 20
    assert [type(each) for each in told] == [TypeError]
    await postgres_world.owner.execute("DROP FUNCTION append_messages_together")
    await postgres_world.owner.execute("ALTER FUNCTION set_aside RENAME TO append_messages_together")
    assert await senders.deliver(*((key, message()) for key in keys)) == [None] * 20
