"""Which of two requests counts, where the first has given nothing for a while. G14."""

import asyncio

import pytest

from service.stores.objects.twice import Due, Twice


class Requests:
    """Requests that a test answers."""

    def __init__(self) -> None:
        self.made: list[asyncio.Future[str]] = []

    def __call__(self) -> "asyncio.Future[str]":
        self.made.append(asyncio.get_running_loop().create_future())
        return self.made[-1]


def both() -> tuple[Requests, Twice[str]]:
    requests = Requests()
    asked = Twice(requests)
    asked.again()
    return requests, asked


async def test_a_slow_answer_to_the_first_request_is_as_good_as_one_to_the_second() -> None:
    requests, asked = both()
    requests.made[0].set_result("first")
    assert await asked == "first"
    assert not asked.overtaken
    assert requests.made[1].cancelled()


async def test_the_second_request_s_answer_counts_where_the_first_has_none() -> None:
    requests, asked = both()
    requests.made[1].set_result("second")
    assert await asked == "second"
    assert asked.overtaken
    assert requests.made[0].cancelled()


@pytest.mark.parametrize(("fails", "gives"), [(0, 1), (1, 0)])
async def test_one_request_that_fails_leaves_the_other_its_time(fails: int, gives: int) -> None:
    requests, asked = both()
    requests.made[fails].set_exception(OSError("away"))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert not asked.done()
    requests.made[gives].set_result("given")
    assert await asked == "given"
    assert not asked.overtaken


async def test_two_failures_are_one() -> None:
    requests, asked = both()
    requests.made[1].set_exception(OSError("away"))
    await asyncio.sleep(0)
    requests.made[0].cancel()
    with pytest.raises(ConnectionError):
        await asked


async def test_a_failure_before_the_second_request_is_told_at_once() -> None:
    requests = Requests()
    asked = Twice(requests)
    requests.made[0].set_exception(OSError("away"))
    with pytest.raises(OSError, match="away"):
        await asked
    asked.again()
    assert len(requests.made) == 1


async def test_who_gives_up_ends_both_requests() -> None:
    requests, asked = both()
    asked.cancel()
    await asyncio.wait({asked})
    assert [each.cancelled() for each in requests.made] == [True, True]


async def test_what_is_due_is_done_once_and_what_is_over_never() -> None:
    acted: list[asyncio.Future[object]] = []
    both_are = asyncio.Event()

    def act(each: "asyncio.Future[object]") -> None:
        acted.append(each)
        if len(acted) > 1:
            both_are.set()

    due = Due(0.01, act)
    first, over, last = (asyncio.get_running_loop().create_future() for _ in range(3))
    for each in (first, over, last):
        due.watch(each)
    due.forget(over)
    async with asyncio.timeout(30):
        await both_are.wait()
    assert acted == [first, last]
    assert not due._due
