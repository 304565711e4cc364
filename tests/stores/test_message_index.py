"""The message index, in memory and on Postgres: frozen listings, fences, removal, quotas. R10, R20, R25; G1-G5, G7, G9.

RFC 1939 §4: numbers are frozen for the session. RFC 1939 §6: what is marked is removed, and nothing else is.
RFC 1939 §7: a unique-id never changes and never repeats.
"""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from service.model.account import MaildropKey
from service.model.listing import DropListing
from service.model.refusal import Reason, Refusal
from tests.stores.worlds import World, deliver, message, one_maildrop, recipient

FENCE, NEWER = b"\x01" * 16, b"\x02" * 16


async def sequences(world: World, key: MaildropKey, drop: DropListing | None = None) -> list[int]:
    drop = drop or await world.index.open(key, FENCE)
    return list((await world.index.listing(key, drop)).sequences)


async def refusal_of_removal(world: World, key: MaildropKey, fence: bytes, removed: list[int]) -> Reason | None:
    try:
        await world.index.remove(key, fence, removed)
    except Refusal as refusal:
        return refusal.reason
    return None


async def test_an_empty_maildrop_counts_and_lists_nothing(world: World) -> None:
    key = await one_maildrop(world)
    drop = await world.index.open(key, FENCE)
    listing = await world.index.listing(key, drop)
    assert drop == DropListing(0, 0, 0, 0)
    assert (len(listing), listing.unique_ids, dict(listing.imported)) == (0, b"", {})


async def test_messages_are_listed_in_the_order_they_came_with_octets_and_unique_ids(world: World) -> None:
    key = await one_maildrop(world)
    messages = [message(10), message(20, b"Delivered-To: a\r\n"), message(30)]
    await deliver(world, key, *messages)
    drop = await world.index.open(key, FENCE)
    listing = await world.index.listing(key, drop)
    assert (drop.messages, drop.octets) == (3, 10 + 37 + 30)
    assert list(listing.octets) == [10, 37, 30]
    assert [listing.unique_id(n) for n in (1, 2, 3)] == [m.unique_id.hex for m in messages]


async def test_g4_of_several_fences_only_the_newest_of_each_maildrop_is_told(world: World) -> None:
    key = await one_maildrop(world)
    other = await world.maildrop(key.tenant_id, "bob@acme.example")
    await world.index.open(key, FENCE)
    await world.index.open(key, NEWER)
    await world.index.open(other, FENCE)
    assert await world.index.newest([(key, FENCE), (key, NEWER), (other, NEWER)]) == {NEWER}
    assert await world.index.newest([(key, FENCE), (other, FENCE)]) == {FENCE}
    await world.lose_fences()
    assert await world.index.newest([(key, NEWER), (other, FENCE)]) == set()
    assert await world.index.newest([]) == set()


async def test_an_imported_message_keeps_the_unique_id_of_its_server(world: World) -> None:
    key = await one_maildrop(world)
    kept = "~!0123" + "x" * 64
    await deliver(world, key, message(), message(imported_unique_id=kept), message())
    await world.index.open(key, FENCE)
    await world.index.remove(key, FENCE, [1])
    listing = await world.index.listing(key, await world.index.open(key, FENCE))
    assert dict(listing.imported) == {2: kept}
    assert listing.unique_id(1) == kept
    assert len(listing.unique_id(2)) == 32


async def test_an_imported_unique_id_is_stored_for_one_message_alone(world: World) -> None:
    """G7: whatever an import asked before; within one append as well, and after the first was removed."""
    key = await one_maildrop(world)
    once = [message(imported_unique_id="once") for _ in range(4)]
    assert await world.index.append([(recipient(key), each) for each in once[:2]]) == [None, None]
    await deliver(world, key, once[2], message(imported_unique_id="other"))
    await world.index.open(key, FENCE)
    await world.index.remove(key, FENCE, [1])
    await deliver(world, key, once[3])
    listing = await world.index.listing(key, await world.index.open(key, FENCE))
    told = [listing.unique_id(number) for number in range(1, 5)]
    assert told == [once[1].unique_id.hex, once[2].unique_id.hex, "other", once[3].unique_id.hex]


async def test_octets_are_not_limited_to_32_bits(world: World) -> None:
    key = await one_maildrop(world)
    await deliver(world, key, message(5_000_000_000), message(6_000_000_000))
    drop = await world.index.open(key, FENCE)
    listing = await world.index.listing(key, drop)
    assert (drop.octets, list(listing.octets)) == (11_000_000_000, [5_000_000_000, 6_000_000_000])


async def test_a_message_that_arrives_later_does_not_join_a_frozen_listing(world: World) -> None:
    key = await one_maildrop(world)
    await deliver(world, key, message(), message())
    drop = await world.index.open(key, FENCE)
    await deliver(world, key, message())
    assert await sequences(world, key, drop) == [1, 2]
    assert await sequences(world, key) == [1, 2, 3]


async def test_a_removed_message_is_not_listed(world: World) -> None:
    key = await one_maildrop(world)
    await deliver(world, key, message(1), message(20), message(300))
    await world.index.open(key, FENCE)
    await world.index.remove(key, FENCE, [2])
    drop = await world.index.open(key, FENCE)
    assert (drop.messages, drop.octets) == (2, 301)
    assert await sequences(world, key, drop) == [1, 3]


async def test_a_listing_frozen_before_a_removal_still_holds_and_locates_the_removed_message(world: World) -> None:
    key = await one_maildrop(world)
    first, second = message(10), message(20)
    await deliver(world, key, first, second)
    before = await world.index.open(key, FENCE)
    await world.index.remove(key, FENCE, [1])
    between = await world.index.open(key, FENCE)
    await world.index.remove(key, FENCE, [2])
    assert await sequences(world, key, before) == [1, 2]
    assert await sequences(world, key, between) == [2]
    located = await world.index.locate(key, [1, 2])
    assert [located[n].blob for n in (1, 2)] == [first.blob, second.blob]


async def test_a_message_expired_by_the_sweep_stays_in_a_frozen_listing(world: World) -> None:
    key = await one_maildrop(world, {"expire_days": 10})
    old = datetime.now(UTC) - timedelta(days=11)
    await deliver(world, key, message(received=old), message())
    drop = await world.index.open(key, FENCE)
    assert await world.sweepable.expire(100) == 1
    assert await sequences(world, key, drop) == [1, 2]
    assert await refusal_of_removal(world, key, FENCE, [1, 2]) is None
    assert await sequences(world, key) == []


async def test_a_listing_that_lost_a_row_is_refused_and_never_shortened(world: World) -> None:
    key = await one_maildrop(world)
    await deliver(world, key, message(), message())
    drop = await world.index.open(key, FENCE)
    await world.lose_row(key, 1)
    with pytest.raises(Refusal) as refused:
        await world.index.listing(key, drop)
    assert refused.value.reason is Reason.BROKEN


async def test_a_message_is_located_with_its_trace_and_blob(world: World) -> None:
    key = await one_maildrop(world)
    sent = message(500, b"Return-Path: <>\r\n")
    await deliver(world, key, sent)
    located = await world.index.locate(key, [1, 2, 99])
    assert list(located) == [1]
    assert (located[1].blob, located[1].trace, located[1].octets) == (sent.blob, sent.trace, sent.octets)


async def test_nothing_is_located_in_another_maildrop(world: World) -> None:
    key = await one_maildrop(world)
    other = await world.maildrop(key.tenant_id, "bob@acme.example")
    await deliver(world, key, message())
    assert await world.index.locate(other, [1]) == {}
    assert await world.index.locate(MaildropKey(uuid4(), key.maildrop_id), [1]) == {}


async def test_opening_a_removed_maildrop_is_refused_like_an_unknown_name(world: World) -> None:
    key = await one_maildrop(world)
    await world.set_status(key, "removed")
    for gone in (key, MaildropKey(key.tenant_id, uuid4())):
        with pytest.raises(Refusal) as refused:
            await world.index.open(gone, FENCE)
        assert refused.value.reason is Reason.CREDENTIALS


async def test_an_older_session_can_remove_nothing_once_a_newer_one_opened(world: World) -> None:
    key = await one_maildrop(world)
    await deliver(world, key, message(), message())
    await world.index.open(key, FENCE)
    await world.index.open(key, NEWER)
    assert await refusal_of_removal(world, key, FENCE, [1]) is Reason.LOST
    assert await sequences(world, key) == [1, 2]


async def test_a_session_whose_fence_was_lost_in_a_crash_can_remove_nothing(world: World) -> None:
    key = await one_maildrop(world)
    await deliver(world, key, message())
    await world.index.open(key, FENCE)
    await world.lose_fences()
    assert await refusal_of_removal(world, key, FENCE, [1]) is Reason.LOST
    assert await sequences(world, key) == [1]


async def test_repeating_a_removal_is_harmless(world: World) -> None:
    key = await one_maildrop(world)
    await deliver(world, key, message(), message(), message())
    await world.index.open(key, FENCE)
    for _ in range(3):
        assert await refusal_of_removal(world, key, FENCE, [1, 2]) is None
    drop = await world.index.open(key, NEWER)
    assert (drop.messages, drop.octets, drop.removals) == (1, 1000, 1)


async def test_a_removal_that_was_done_counts_as_done_after_a_newer_session_opened(world: World) -> None:
    key = await one_maildrop(world)
    await deliver(world, key, message(), message())
    await world.index.open(key, FENCE)
    await world.index.remove(key, FENCE, [1])
    await world.index.open(key, NEWER)
    assert await refusal_of_removal(world, key, FENCE, [1]) is None
    assert await refusal_of_removal(world, key, FENCE, [2]) is Reason.LOST
    assert await sequences(world, key) == [2]


async def test_removing_nothing_needs_no_fence(world: World) -> None:
    key = await one_maildrop(world)
    assert await refusal_of_removal(world, key, FENCE, []) is None


async def test_a_removal_touches_no_other_maildrop(world: World) -> None:
    key = await one_maildrop(world)
    other = await world.maildrop(key.tenant_id, "bob@acme.example")
    shared = message()
    await deliver(world, key, shared)
    await deliver(world, other, shared)
    await world.index.open(key, FENCE)
    await world.index.remove(key, FENCE, [1])
    assert await sequences(world, other) == [1]


async def test_a_sequence_number_is_never_given_twice(world: World) -> None:
    key = await one_maildrop(world)
    await deliver(world, key, message(), message())
    await world.index.open(key, FENCE)
    await world.index.remove(key, FENCE, [1, 2])
    await deliver(world, key, message())
    assert await sequences(world, key) == [3]


async def test_repeating_an_append_stores_one_message(world: World) -> None:
    key = await one_maildrop(world)
    once = message()
    await deliver(world, key, once)
    await deliver(world, key, once)
    assert await sequences(world, key) == [1]


async def test_a_repeated_append_is_stored_even_when_the_maildrop_is_full_or_suspended_since(world: World) -> None:
    key = await one_maildrop(world, {"quota_messages": 1})
    once = message()
    await deliver(world, key, once)
    await deliver(world, key, once)
    await world.set_status(key, "suspended")
    await deliver(world, key, once)
    assert await sequences(world, key) == [1]


async def test_each_recipient_has_an_outcome_of_its_own_in_order(world: World) -> None:
    tenant = await world.tenant("acme", {"quota_octets": 1500})
    await world.domain(tenant, "acme.example")
    names = ("full", "suspended", "removed", "takes", "small", "none")
    keys = {name: await world.maildrop(tenant, f"{name}@acme.example") for name in names}
    keys["small"] = await world.maildrop(tenant, "tiny@acme.example", {"quota_octets": 999})
    keys["none"] = await world.maildrop(tenant, "zero@acme.example", {"quota_messages": 0})
    await deliver(world, keys["full"], message(501))
    await world.set_status(keys["suspended"], "suspended")
    await world.set_status(keys["removed"], "removed")
    keys["unknown"] = MaildropKey(tenant, uuid4())
    outcomes = await world.index.append([(recipient(key), message(1000)) for key in keys.values()])
    assert dict(zip(keys, (outcome and outcome.reason for outcome in outcomes), strict=True)) == {
        "full": Reason.OVER_QUOTA,
        "suspended": Reason.SUSPENDED,
        "removed": Reason.NO_RECIPIENT,
        "takes": None,
        "small": Reason.NEVER_FITS,
        "none": Reason.NEVER_FITS,
        "unknown": Reason.NO_RECIPIENT,
    }
    assert await sequences(world, keys["takes"]) == [1]
    assert await sequences(world, keys["full"]) == [1]


async def test_a_quota_is_met_exactly_and_counts_the_trace(world: World) -> None:
    key = await one_maildrop(world, {"quota_octets": 1000, "quota_messages": 3})
    await deliver(world, key, message(490, b"0123456789"), message(500))
    (refused,) = await world.index.append([(recipient(key), message(1))])
    assert refused is not None
    assert refused.reason is Reason.OVER_QUOTA


async def test_removed_messages_do_not_count_against_the_quota(world: World) -> None:
    key = await one_maildrop(world, {"quota_messages": 1})
    await deliver(world, key, message())
    await world.index.open(key, FENCE)
    await world.index.remove(key, FENCE, [1])
    await deliver(world, key, message())
    assert await sequences(world, key) == [2]


async def test_two_messages_to_one_maildrop_in_one_transaction_are_both_stored(world: World) -> None:
    key = await one_maildrop(world)
    await deliver(world, key, message(1), message(2))
    listing = await world.index.listing(key, await world.index.open(key, FENCE))
    assert list(listing.octets) == [1, 2]


async def test_appending_nothing_has_no_outcome(world: World) -> None:
    assert await world.index.append([]) == []
