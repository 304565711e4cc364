"""What the sweep sees, in memory and on Postgres: retention, removed rows, blobs that no row names. G1.

RFC 2449 §6.7: a message is kept at least as long as EXPIRE announces.
"""

from datetime import UTC, datetime, timedelta

import pytest

from service.mail.tenancy import Act
from service.model.account import MaildropKey, Status
from service.model.aftermath import Aftermath
from service.model.trail import NO_TRAIL
from tests.stores.test_undo import ALICE, tenancy_of
from tests.stores.worlds import World, deliver, message, one_maildrop

FENCE = b"\x01" * 16


def days_ago(days: float) -> datetime:
    return datetime.now(UTC) - timedelta(days=days)


async def listed(world: World, key: MaildropKey) -> int:
    return (await world.index.open(key, FENCE)).messages


async def test_only_messages_older_than_the_retention_are_removed(world: World) -> None:
    key = await one_maildrop(world, {"expire_days": 30})
    await deliver(world, key, message(received=days_ago(31)), message(received=days_ago(29.9)), message())
    assert await world.sweepable.expire(100) == 1
    assert list((await world.index.listing(key, await world.index.open(key, FENCE))).sequences) == [2, 3]
    assert await world.sweepable.expire(100) == 0


async def test_without_a_retention_nothing_expires(world: World) -> None:
    key = await one_maildrop(world)
    await deliver(world, key, message(received=days_ago(5000)))
    assert await world.sweepable.expire(100) == 0


async def test_zero_days_never_remove_what_nobody_has_read(world: World) -> None:
    key = await one_maildrop(world, {"expire_days": 0})
    await deliver(world, key, message(received=days_ago(5)))
    assert await world.sweepable.expire(100) == 0


async def test_a_maildrops_own_retention_goes_before_its_tenants(world: World) -> None:
    key = await one_maildrop(world, {"expire_days": 1})
    kept = await world.maildrop(key.tenant_id, "kept@acme.example", {"expire_days": None})
    longer = await world.maildrop(key.tenant_id, "longer@acme.example", {"expire_days": 9})
    for each in (key, kept, longer):
        await deliver(world, each, message(received=days_ago(5)))
    assert await world.sweepable.expire(100) == 1
    assert [await listed(world, each) for each in (key, kept, longer)] == [0, 1, 1]


@pytest.mark.parametrize("suspended", ["tenant", "domain", "maildrop"])
async def test_what_is_suspended_keeps_its_mail_until_the_sweep_after_it_is_resumed(
    world: World, suspended: str
) -> None:
    key, tenancy, act = await one_maildrop(world, {"expire_days": 1}), tenancy_of(world), Act("tests", "acme")
    await deliver(world, key, message(received=days_ago(5)), message())
    for status, expired in ((Status.SUSPENDED, 0), (Status.ACTIVE, 1)):
        match suspended:
            case "tenant":
                await tenancy.tenants.set_status(act, status)
            case "domain":
                await tenancy.domains.set_status(act, "acme.example", status)
            case _:
                await tenancy.maildrops.set_status(act, ALICE, status)
        assert await world.sweepable.expire(100) == expired


async def test_expiry_stops_at_its_limit_and_goes_on_the_next_time(world: World) -> None:
    key = await one_maildrop(world, {"expire_days": 1})
    other = await world.maildrop(key.tenant_id, "bob@acme.example")
    for each in (key, other):
        await deliver(world, each, message(received=days_ago(3)), message(received=days_ago(2)))
    assert [await world.sweepable.expire(3) for _ in range(3)] == [3, 1, 0]


async def note(world: World, key: MaildropKey, *sequences: int) -> None:
    """A session that retrieved these, and ended with QUIT."""
    await world.index.open(key, FENCE)
    await world.index.remove(key, FENCE, [], NO_TRAIL, Aftermath(sequences))


async def test_a_message_is_removed_so_many_days_after_it_was_retrieved_and_no_other(world: World) -> None:
    key = await one_maildrop(world, {"retrieved_days": 14})
    await deliver(world, key, *(message(received=days_ago(500)) for _ in range(3)))
    await note(world, key, 2)
    assert await world.sweepable.expire(100) == 0
    await world.pass_days(13)
    await note(world, key, 2, 3)
    assert await world.sweepable.expire(100) == 0
    await world.pass_days(2)
    assert await world.sweepable.expire(100) == 1
    assert list((await world.index.listing(key, await world.index.open(key, FENCE))).sequences) == [1, 3]


async def test_what_was_noted_under_an_earlier_policy_goes_as_the_present_one_says(world: World) -> None:
    key = await one_maildrop(world)
    hasty = await world.maildrop(key.tenant_id, "hasty@acme.example", {"retrieved_days": 0})
    for each in (key, hasty):
        await deliver(world, each, message())
        await note(world, each, 1)
    assert await world.sweepable.expire(100) == 1
    assert [await listed(world, each) for each in (key, hasty)] == [1, 0]


async def test_both_retentions_of_a_maildrop_are_obeyed_within_one_limit(world: World) -> None:
    key = await one_maildrop(world, {"retrieved_days": 1, "expire_days": 30})
    await deliver(world, key, *(message(received=days_ago(days)) for days in (31, 31, 29, 29)))
    await note(world, key, 1, 3)
    await world.pass_days(2)
    assert [await world.sweepable.expire(2) for _ in range(3)] == [2, 1, 0]
    assert list((await world.index.listing(key, await world.index.open(key, FENCE))).sequences) == [4]


async def test_what_is_removed_with_undo_is_kept_as_long_as_that_says_and_no_longer(world: World) -> None:
    key = await one_maildrop(world)
    await deliver(world, key, message(), message(), message())
    await world.index.open(key, FENCE)
    await world.index.remove(key, FENCE, [1], NO_TRAIL, Aftermath(undo_days=2))
    await world.index.remove(key, FENCE, [2], NO_TRAIL, Aftermath(undo_days=30))
    await world.index.remove(key, FENCE, [3])
    week_ago = days_ago(7)
    seen = []
    for days in (1, 2, 5, 23):
        await world.pass_days(days)
        seen.append([e.sequence for e in await world.sweepable.removed_before(week_ago, 10)])
        assert await world.sweepable.backlog(week_ago) == len(seen[-1])
    assert list(map(sorted, seen)) == [[], [1], [1, 3], [1, 2, 3]]


async def test_removed_messages_are_seen_once_their_time_has_come_oldest_first(world: World) -> None:
    key = await one_maildrop(world)
    messages = [message(), message(), message()]
    await deliver(world, key, *messages)
    await world.index.open(key, FENCE)
    await world.index.remove(key, FENCE, [2])
    await world.backdate_removals(days_ago(9))
    await world.index.remove(key, FENCE, [1])
    later, earlier = datetime.now(UTC) + timedelta(minutes=1), days_ago(8)
    assert [e.sequence for e in await world.sweepable.removed_before(later, 10)] == [2, 1]
    assert [e.blob_key for e in await world.sweepable.removed_before(earlier, 10)] == [messages[1].blob.key]
    assert [e.sequence for e in await world.sweepable.removed_before(later, 1)] == [2]
    assert [await world.sweepable.backlog(moment) for moment in (earlier, later)] == [1, 2]


async def test_a_blob_is_let_go_only_when_no_other_row_names_it(world: World) -> None:
    key = await one_maildrop(world)
    other = await world.maildrop(key.tenant_id, "bob@acme.example")
    shared, own = message(), message()
    await deliver(world, key, shared, own)
    await deliver(world, other, shared)
    await world.index.open(key, FENCE)
    await world.index.remove(key, FENCE, [1, 2])
    later = datetime.now(UTC) + timedelta(minutes=1)
    expired = await world.sweepable.removed_before(later, 10)
    assert await world.sweepable.release_blobs(expired) == [own.blob.key]
    await world.index.open(other, FENCE)
    await world.index.remove(other, FENCE, [1])
    everything = await world.sweepable.removed_before(later, 10)
    assert sorted(await world.sweepable.release_blobs(everything)) == sorted([shared.blob.key, own.blob.key])


async def test_forgotten_rows_are_gone_and_their_blobs_unnamed(world: World) -> None:
    key = await one_maildrop(world)
    gone, kept = message(), message()
    await deliver(world, key, gone, kept)
    await world.index.open(key, FENCE)
    await world.index.remove(key, FENCE, [1])
    keys = [gone.blob.key, kept.blob.key, "never/stored"]
    assert await world.sweepable.named(keys) == {gone.blob.key, kept.blob.key}
    expired = await world.sweepable.removed_before(datetime.now(UTC) + timedelta(minutes=1), 10)
    await world.sweepable.forget(expired)
    await world.sweepable.forget(expired)
    assert await world.sweepable.named(keys) == {kept.blob.key}
    assert await listed(world, key) == 1


async def test_a_listed_message_is_never_forgotten(world: World) -> None:
    key = await one_maildrop(world)
    await deliver(world, key, message(), message())
    await world.index.open(key, FENCE)
    await world.index.remove(key, FENCE, [1])
    (expired,) = await world.sweepable.removed_before(datetime.now(UTC) + timedelta(minutes=1), 10)
    listed_one = type(expired)(key, 2, expired.blob_key)
    await world.sweepable.forget([listed_one])
    assert await listed(world, key) == 1
    assert set(await world.index.locate(key, [1, 2])) == {1, 2}


async def test_a_removed_maildrop_is_forgotten_with_its_last_message_and_not_before(world: World) -> None:
    key = await one_maildrop(world)
    await world.alias(key, "sales@acme.example")
    await deliver(world, key, message())
    await world.index.open(key, FENCE)
    await world.index.remove(key, FENCE, [1])
    await world.set_status(key, "removed")
    await world.sweepable.forget([])
    assert await world.maildrops() == {key}
    await world.sweepable.forget(await world.sweepable.removed_before(datetime.now(UTC) + timedelta(minutes=1), 10))
    assert await world.maildrops() == set()


async def test_an_empty_maildrop_that_is_not_removed_is_kept(world: World) -> None:
    key = await one_maildrop(world)
    await world.sweepable.forget([])
    assert await world.maildrops() == {key}
