"""Prefetch and budgets: helps a client that reads in sequence, within bounds, and wastes little. G8, G15."""

import asyncio
from dataclasses import dataclass, field, replace

import pytest

from service.mail.budget import Budget
from service.mail.fair import SpareBlobs
from service.mail.places import Places
from service.mail.ports import NearBlobs
from service.mail.prefetch import OPENING, TOGETHER, Limits, Prefetch
from service.mail.retrieval import AT_HAND_OCTETS, Resumption
from service.mail.turns import Bounds, Turns
from service.model.refusal import Reason, Refusal
from tests.mail.house import House, pieces

pytestmark = pytest.mark.asyncio

TEXTS = [b"N: %d\r\n\r\n" % number + b"x" * 100 + b"\r\n" for number in range(1, 7)]


async def reading(house: House, limits: Limits) -> Prefetch:
    prefetch = Prefetch(Places(house.index, house.key), house.retrieval, limits)
    await prefetch.places.of(1, tuple(range(2, 7)))
    return prefetch


async def test_what_follows_is_fetched_and_given_verified() -> None:
    house = await House().furnish(*TEXTS)
    prefetch = await reading(house, Limits(1 << 20, Budget(1 << 20)))
    prefetch.ahead_of(1, (2, 3))
    assert await prefetch.take(2) == TEXTS[1]
    assert await prefetch.take(3) == TEXTS[2]
    assert await prefetch.take(4) is None


async def test_a_corrupt_message_fetched_ahead_is_not_given() -> None:
    house = await House().furnish(*TEXTS)
    prefetch = await reading(house, Limits(1 << 20, Budget(1 << 20)))
    house.blobs.corrupt = True
    prefetch.ahead_of(1, (2,))
    assert await prefetch.take(2) is None


async def test_f7_a_store_that_fails_while_it_is_waited_for_is_not_asked_all_over_again() -> None:
    house = await House().furnish(*TEXTS)
    limits = Limits(1 << 20, Budget(1 << 20))
    prefetch = await reading(house, limits)
    house.blobs.failures = 99
    prefetch.ahead_of(1, (2,))
    with pytest.raises(Refusal) as refused:
        await prefetch.take(2)
    assert refused.value.reason is Reason.UNAVAILABLE
    assert limits.process.used == 0


async def test_f7_what_could_not_be_fetched_ahead_is_fetched_when_it_is_asked_for() -> None:
    house = await House().furnish(*TEXTS)
    prefetch = await reading(house, Limits(1 << 20, Budget(1 << 20)))
    house.blobs.failures = 3
    prefetch.ahead_of(1, (2,))
    await asyncio.wait([each.fetched for each in prefetch._ahead.values()])
    assert await prefetch.take(2) is None


async def test_the_budgets_of_session_and_process_bound_what_is_ahead() -> None:
    house = await House().furnish(*TEXTS)
    octets = len(TEXTS[0])
    for limits in (Limits(2 * octets, Budget(1 << 20)), Limits(1 << 20, Budget(2 * octets))):
        prefetch = await reading(house, limits)
        prefetch.ahead_of(1, (2, 3, 4, 5))
        await asyncio.sleep(0)
        assert [await prefetch.take(n) is not None for n in (2, 3, 4)] == [True, True, False]
        assert limits.process.used == 0


async def test_jumping_about_fetches_nothing_ahead() -> None:
    house = await House().furnish(*TEXTS)
    prefetch = await reading(house, Limits(1 << 20, Budget(1 << 20)))
    prefetch.ahead_of(1, (2, 3))
    prefetch.ahead_of(5, (6,))
    assert await prefetch.take(6) is None


async def test_what_was_skipped_is_dropped_and_counted() -> None:
    house = await House().furnish(*TEXTS)
    used: list[bool] = []
    limits = Limits(1 << 20, Budget(1 << 20), used=used.append)
    prefetch = await reading(house, limits)
    prefetch.ahead_of(1, (2, 3, 4))
    await prefetch.take(2)
    prefetch.clear()
    assert sorted(used) == [False, False, True]
    assert limits.process.used == 0


async def test_clearing_gives_everything_back_though_reads_are_under_way() -> None:
    house = await House().furnish(*TEXTS)
    limits = Limits(1 << 20, Budget(1 << 20))
    prefetch = await reading(house, limits)
    prefetch.ahead_of(1, (2, 3, 4, 5, 6))
    prefetch.clear()
    assert limits.process.used == 0


async def test_a_budget_grants_in_turn() -> None:
    budget = Budget(100)
    await budget.take(80)
    waiting = [asyncio.create_task(budget.take(40)) for _ in range(2)]
    await asyncio.sleep(0)
    assert not any(task.done() for task in waiting)
    assert not budget.try_take(1)
    budget.give_back(80)
    await asyncio.gather(*waiting)
    assert budget.used == 80


async def test_more_than_the_whole_budget_is_granted_alone() -> None:
    budget = Budget(100)
    await budget.take(500)
    assert not budget.try_take(1)
    budget.give_back(500)
    assert budget.try_take(100)


async def test_a_budget_that_stays_used_up_refuses_as_overloaded() -> None:
    budget = Budget(100, patience=0)
    await budget.take(100)
    with pytest.raises(Refusal) as refused:
        await budget.take(1)
    assert refused.value.reason is Reason.OVERLOADED
    budget.give_back(100)
    assert budget.used == 0


async def test_a_cancelled_wait_leaves_the_queue() -> None:
    budget = Budget(100)
    await budget.take(100)
    waiting = asyncio.create_task(budget.take(50))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    budget.give_back(100)
    assert budget.used == 0
    assert budget.try_take(100)


async def test_what_is_here_and_short_enough_is_given_at_once() -> None:
    house = await House().furnish(*TEXTS)
    limits = Limits(1 << 20, Budget(1 << 20))
    prefetch = await reading(house, limits)
    second = await prefetch.places.of(2)
    prefetch.ahead_of(1, (2, 3))
    assert prefetch.take_ready(second, 1000) is None, "it isn't here yet"
    await asyncio.wait([each.fetched for each in prefetch._ahead.values()])
    assert prefetch.take_ready(second, len(TEXTS[1]) - 1) is None, "it is too long"
    assert prefetch.take_ready(second, len(TEXTS[1])) == TEXTS[1]
    assert prefetch.take_ready(second, 1000) is None, "it is gone"
    assert limits.process.used == len(TEXTS[2])


async def test_what_could_not_be_fetched_or_verified_is_not_given_at_once() -> None:
    house = await House().furnish(*TEXTS)
    prefetch = await reading(house, Limits(1 << 20, Budget(1 << 20)))
    house.blobs.corrupt = True
    prefetch.ahead_of(1, (2,))
    await asyncio.wait([each.fetched for each in prefetch._ahead.values()])
    assert prefetch.take_ready(await prefetch.places.of(2), 1000) is None


async def near(house: House) -> Prefetch:
    """A reader whose store has at hand what stands in `house`."""
    house.retrieval = replace(house.retrieval, near=house.provider.blobs)
    return await reading(house, Limits(1 << 20, Budget(1 << 20)))


async def test_what_the_store_has_at_hand_is_given_at_once_and_nothing_is_read_ahead_of_it() -> None:
    house = await House().furnish(*TEXTS)
    prefetch = await near(house)
    for number, text in enumerate(TEXTS, 1):
        assert prefetch.take_ready(await prefetch.places.of(number), 1000) == text
        prefetch.ahead_of(number, tuple(range(number + 1, 7)))
    assert (house.blobs.reads, prefetch.limits.process.used) == ([], 0)


async def test_g8_what_is_at_hand_but_broken_or_too_short_is_not_given() -> None:
    house = await House().furnish(*TEXTS)
    prefetch = await near(house)
    message = await prefetch.places.of(1)
    await house.provider.blobs.put(message.blob.key, pieces(TEXTS[0][:-3] + b"y\r\n"))
    assert prefetch.take_ready(message, 1000) is None
    house.provider.blobs.truncate(message.blob.key, 20)
    assert prefetch.take_ready(message, 1000) is None


async def test_once_a_message_is_not_at_hand_what_follows_is_read_ahead() -> None:
    house = await House().furnish(*TEXTS)
    prefetch = await near(house)
    first, second = await prefetch.places.of(1), await prefetch.places.of(2)
    assert prefetch.take_ready(first, 1000) == TEXTS[0]
    prefetch.ahead_of(1, (2, 3, 4))
    house.provider.blobs.truncate(second.blob.key, 20)
    assert prefetch.take_ready(second, 1000) is None
    prefetch.ahead_of(2, (3, 4))
    assert await prefetch.take(3) == TEXTS[2]
    assert house.blobs.reads


async def test_what_had_no_turn_to_spare_is_fetched_with_the_next_read_and_not_when_it_is_waited_for() -> None:
    house = await House().furnish(*TEXTS)
    turns = Turns("store", Bounds(2))
    house.retrieval = replace(house.retrieval, blobs=SpareBlobs(house.blobs, turns))
    prefetch = await reading(house, Limits(1 << 20, Budget(1 << 20)))
    assert turns.try_take(None)
    prefetch.ahead_of(1, (2, 3, 4))
    await asyncio.wait([each.fetched for each in prefetch._ahead.values()])
    await asyncio.sleep(0)
    assert (prefetch._ahead, prefetch.limits.process.used) == ({}, 0)
    turns.give_back(None)
    prefetch.ahead_of(2, (3, 4))
    assert await prefetch.take(3) == TEXTS[2]


async def test_who_reads_on_after_the_first_message_gets_the_whole_window() -> None:
    house = await House().furnish(*TEXTS * 5)
    limits = Limits(1 << 20, Budget(1 << 20), messages=20)
    prefetch = await reading(house, limits)
    await prefetch.places.of(30, tuple(range(1, 30)))
    prefetch.ahead_of(1, tuple(range(2, 30)))
    assert len(prefetch._ahead) == OPENING
    prefetch.ahead_of(2, tuple(range(3, 30)))
    assert len(prefetch._ahead) == 20
    prefetch.ahead_of(9, tuple(range(10, 30)))
    assert prefetch._ahead == {}, "it skipped some"


async def test_a_long_message_says_nothing_of_what_is_at_hand() -> None:
    house = await House().furnish(b"N: 1\r\n\r\n" + b"x" * AT_HAND_OCTETS + b"\r\n", *TEXTS)
    prefetch = await near(house)
    long, short = await prefetch.places.of(1), await prefetch.places.of(2)
    assert prefetch.at_hand(long) is None
    prefetch.ahead_of(1, (2, 3))
    assert prefetch._ahead == {}
    assert prefetch.take_ready(short, 1000) == TEXTS[0]


@dataclass
class Begun:
    """Asks a store without waiting, which gives what it is told to."""

    behind: NearBlobs
    begun: list["asyncio.Future[bytes]"] = field(default_factory=list)
    spare: int = 99
    """How many more find a turn."""
    silent: bool = False

    def begin(self, key: str, octets: int) -> "asyncio.Future[bytes] | None":
        if not self.spare:
            raise Refusal(Reason.OVERLOADED)
        self.spare -= 1
        begun = asyncio.get_running_loop().create_future() if self.silent else self.behind.begin(key, octets)
        assert begun is not None
        self.begun.append(begun)
        return begun


async def beginning(house: House, messages: int = 48) -> tuple[Prefetch, Begun]:
    """A reader whose short messages are asked for without a task."""
    blobs = Begun(house.provider.blobs)
    house.retrieval = replace(house.retrieval, begun=blobs)
    return await reading(house, Limits(1 << 20, Budget(1 << 20), messages)), blobs


async def test_g8_what_was_begun_is_verified_before_it_is_given() -> None:
    house = await House().furnish(*TEXTS)
    prefetch, _ = await beginning(house)
    second, third = await prefetch.places.of(2), await prefetch.places.of(3)
    await house.provider.blobs.put(third.blob.key, pieces(TEXTS[2][:-3] + b"y\r\n"))
    prefetch.ahead_of(1, (2, 3, 4, 5))
    assert prefetch.take_ready(second, 1000) == TEXTS[1]
    assert prefetch.take_ready(third, 1000) is None
    assert await prefetch.take(3) is None
    assert await prefetch.take(4) == TEXTS[3]
    prefetch.clear()
    assert (prefetch.limits.process.used, house.blobs.reads) == (0, [])


async def test_f7_what_was_begun_and_failed_is_fetched_when_it_is_asked_for_though_it_was_waited_for() -> None:
    house = await House().furnish(*TEXTS)
    prefetch, blobs = await beginning(house)
    blobs.silent = True
    prefetch.ahead_of(1, (2,))
    waiting = asyncio.create_task(prefetch.take(2))
    await asyncio.sleep(0)
    blobs.begun[0].set_exception(Refusal(Reason.UNAVAILABLE, "told to fail"))
    assert await waiting is None
    assert prefetch.limits.process.used == 0


async def test_g14_who_waits_for_what_was_begun_at_a_silent_store_is_refused_in_time() -> None:
    house = await House().furnish(*TEXTS)
    house.retrieval = replace(house.retrieval, resumption=Resumption(patience=0.2))
    prefetch, blobs = await beginning(house)
    blobs.silent = True
    prefetch.ahead_of(1, (2,))
    with pytest.raises(Refusal) as refused:
        await prefetch.take(2)
    assert refused.value.reason is Reason.UNAVAILABLE
    assert blobs.begun[0].cancelled()
    assert prefetch.limits.process.used == 0


async def test_f7_what_was_begun_too_long_ago_is_fetched_anew_from_a_store_that_serves_again() -> None:
    house = await House().furnish(*TEXTS)
    patient = house.retrieval
    house.retrieval = replace(patient, resumption=Resumption(patience=0.0))
    prefetch, blobs = await beginning(house)
    blobs.silent = True
    prefetch.ahead_of(1, (2, 3, 4))
    for number in (2, 3, 4):
        assert await prefetch.take(number) is None
        assert await patient.whole(await prefetch.places.of(number)) == TEXTS[number - 1]
    assert all(begun.cancelled() for begun in blobs.begun)
    assert prefetch.limits.process.used == 0


async def test_g15_without_a_turn_to_spare_nothing_is_begun_and_no_memory_is_held() -> None:
    house = await House().furnish(*TEXTS)
    prefetch, blobs = await beginning(house)
    blobs.spare = 1
    prefetch.ahead_of(1, (2, 3, 4))
    assert list(prefetch._ahead) == [2]
    assert prefetch.limits.process.used == len(TEXTS[1])
    blobs.spare = 9
    prefetch.ahead_of(2, (3, 4))
    assert sorted(prefetch._ahead) == [3, 4], "and what isn't wanted any more is dropped"
    prefetch.clear()
    assert prefetch.limits.process.used == 0


async def test_a_window_is_filled_up_once_some_are_missing_and_to_the_end_of_the_maildrop() -> None:
    house = await House().furnish(*TEXTS * 10)
    prefetch, _ = await beginning(house, messages=20)
    await prefetch.places.of(60, tuple(range(1, 60)))
    messages = [await prefetch.places.of(number) for number in range(1, 61)]
    ahead = []
    for number in range(1, 61):
        prefetch.take_ready(messages[number - 1], 1000)
        prefetch.ahead_of(number, tuple(range(number + 1, 61)))
        ahead.append(len(prefetch._ahead))
    assert ahead[0] == OPENING
    assert min(ahead[1:40]) == 20 - TOGETHER + 1
    assert ahead[-4:] == [3, 2, 1, 0]
