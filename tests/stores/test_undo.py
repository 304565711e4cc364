"""Messages that DELE removed with undo: how long they can be restored, in memory and on Postgres. G1.

RFC 1939 §7: what is restored gets a new unique-id.
"""

from datetime import UTC, datetime, timedelta

from service.mail.tenancy import Act, Tenancy
from service.model.address import parse_address
from service.model.aftermath import Aftermath
from service.model.trail import NO_TRAIL
from service.stores.memory.tenancy import memory_tenancy
from service.stores.postgres.tenancy import postgres_tenancy
from tests.stores.worlds import MemoryWorld, PostgresWorld, World, deliver, message, one_maildrop

ALICE = parse_address("alice@acme.example")
FENCE = b"\x01" * 16
WEEK = timedelta(days=7)


def tenancy_of(world: World) -> Tenancy:
    if isinstance(world, MemoryWorld):
        return memory_tenancy(world.state)
    assert isinstance(world, PostgresWorld)
    return postgres_tenancy(world.database)


async def test_each_can_be_restored_as_long_as_its_policy_said(world: World) -> None:
    key, tenancy = await one_maildrop(world), tenancy_of(world)
    await deliver(world, key, message(101), message(102), message(103))
    await world.index.open(key, FENCE)
    for sequence, undo_days in ((1, 30), (2, 1), (3, None)):
        await world.index.remove(key, FENCE, [sequence], NO_TRAIL, Aftermath(undo_days=undo_days))
    octets = []
    for days in (0.0, 0.99, 7.0, 21.5, 1.0):
        await world.pass_days(days)
        removed = await tenancy.removed_messages.newest("acme", ALICE, WEEK, 10)
        octets.append({m.octets for m in removed})
        assert all(m.restorable_until > datetime.now(UTC) for m in removed)
    # An hour before its time is over, what the sweep may be deleting is out of reach.
    assert octets == [{101, 102, 103}, {101, 103}, {101}, {101}, set()]


async def test_mail_of_a_removed_maildrop_is_kept_no_longer_than_the_service_says(world: World) -> None:
    key, tenancy = await one_maildrop(world), tenancy_of(world)
    await deliver(world, key, message(101), message(102))
    await world.index.open(key, FENCE)
    await world.index.remove(key, FENCE, [1], NO_TRAIL, Aftermath(undo_days=3650))
    await tenancy.maildrops.remove(Act("tests", "acme"), ALICE)
    assert await world.sweepable.removed_before(datetime.now(UTC) - WEEK, 10) == []
    await world.pass_days(7.1)
    week_ago = datetime.now(UTC) - WEEK
    assert {each.sequence for each in await world.sweepable.removed_before(week_ago, 10)} == {1, 2}
    assert await world.sweepable.backlog(week_ago) == 2


async def test_what_is_restored_is_an_ordinary_message_again(world: World) -> None:
    key, tenancy = await one_maildrop(world), tenancy_of(world)
    removed = message(101)
    await deliver(world, key, removed)
    await world.index.open(key, FENCE)
    await world.index.remove(key, FENCE, [1], NO_TRAIL, Aftermath(undo_days=30))
    act = Act("tests", "acme")
    assert await tenancy.removed_messages.restore(act, ALICE, [removed.unique_id], WEEK) == 1
    assert await world.notes(key) == {1: (False, True), 2: (False, False)}


async def test_each_of_two_that_a_catch_all_brought_of_one_mail_can_be_restored(world: World) -> None:
    key, tenancy = await one_maildrop(world), tenancy_of(world)
    first, second = (
        message(101, f"Delivered-To: {local}@acme.example\r\n".encode(), blob_key="acme/2026/01/01/twins")
        for local in ("jobs", "sales")
    )
    await deliver(world, key, first, second)
    act, restorable = Act("tests", "acme"), tenancy.removed_messages
    await world.index.open(key, FENCE)
    await world.index.remove(key, FENCE, [1], NO_TRAIL)
    # The other one is listed still.
    assert [each.unique_id for each in await restorable.newest("acme", ALICE, WEEK, 10)] == [first.unique_id]
    assert await restorable.restore(act, ALICE, [first.unique_id], WEEK) == 1
    await world.index.remove(key, FENCE, [2, 3], NO_TRAIL)
    assert await restorable.restore(act, ALICE, [first.unique_id, second.unique_id], WEEK) == 2
    assert await restorable.newest("acme", ALICE, WEEK, 10) == []
    located = await world.index.locate(key, [4, 5])
    assert {each.trace for each in located.values()} == {first.trace, second.trace}
