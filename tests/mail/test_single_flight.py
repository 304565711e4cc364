"""Work beside a loop that must not wait for it: never twice at once, never forgotten."""

import asyncio

import pytest

from service.mail.single_flight import SingleFlight
from service.model.refusal import Reason, Refusal

pytestmark = pytest.mark.asyncio


class Work:
    """Waits until it may end; counts how often it began and how many of it ran at once."""

    def __init__(self) -> None:
        self.begun = self.running = self.most = 0
        self.begins = asyncio.Event()
        self.may_end = asyncio.Event()
        self.error: Exception | None = None

    async def __call__(self) -> None:
        self.begun += 1
        self.running += 1
        self.most = max(self.most, self.running)
        self.begins.set()
        try:
            await self.may_end.wait()
        finally:
            self.running -= 1
        if self.error is not None:
            raise self.error


async def ended(flight: SingleFlight) -> None:
    assert flight._task is not None
    async with asyncio.timeout(10):
        await asyncio.wait({flight._task})


async def test_what_comes_up_while_it_runs_is_done_once_more_and_never_at_once() -> None:
    work = Work()
    flight = SingleFlight(work)
    flight.begin()
    await work.begins.wait()
    for _ in range(3):
        flight.begin()
    work.may_end.set()
    await ended(flight)
    assert (work.begun, work.most) == (2, 1)


async def test_the_last_refusal_is_kept_until_the_work_is_done() -> None:
    work = Work()
    work.may_end.set()
    flight = SingleFlight(work)
    work.error = refusal = Refusal(Reason.UNAVAILABLE, "down")
    flight.begin()
    await ended(flight)
    assert flight.refusal is refusal
    work.error = None
    flight.begin()
    await ended(flight)
    assert flight.refusal is None


async def test_what_fails_is_told_to_whoever_begins_again() -> None:
    work = Work()
    work.may_end.set()
    work.error = KeyError("a defect")
    flight = SingleFlight(work)
    flight.begin()
    await ended(flight)
    with pytest.raises(KeyError):
        flight.begin()


async def test_closing_breaks_off_what_is_under_way() -> None:
    work = Work()
    flight = SingleFlight(work)
    await flight.close()
    flight.begin()
    await work.begins.wait()
    await flight.close()
    assert work.running == 0


async def test_work_that_was_cancelled_by_others_is_begun_anew() -> None:
    work = Work()
    flight = SingleFlight(work)
    flight.begin()
    await work.begins.wait()
    assert flight._task is not None
    flight._task.cancel()
    await ended(flight)
    flight.begin()
    work.may_end.set()
    await ended(flight)
    assert work.begun == 2
