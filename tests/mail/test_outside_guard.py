"""The wall around an outside directory: how much it may hold up, for how long, and whom it can't."""

import asyncio

import pytest

from service.mail.outside import Bounds, Guard
from service.mail.outside.ports import AwayError
from service.model.address import parse_address
from service.model.outside import Question
from service.model.refusal import Reason, Refusal
from tests.mail.outside_world import Users

pytestmark = pytest.mark.asyncio

ADA = Question(parse_address("ada@acme.example"), "acme")


def users() -> Users:
    return Users({"ada@acme.example": "x"})


async def cause_of(guard: Guard) -> str:
    with pytest.raises(Refusal) as refused:
        await guard.ask(ADA)
    assert refused.value.reason is Reason.UNAVAILABLE
    return refused.value.cause


async def test_g15_no_more_questions_than_its_bounds_are_under_way_or_wait() -> None:
    directory = users()
    directory.hold = asyncio.Event()
    guard = Guard("crm", directory, Bounds(at_once=2, waiting=1, deadline=60))
    held = [asyncio.create_task(guard.ask(ADA)) for _ in range(3)]
    await directory.came.get()
    await directory.came.get()
    assert guard.held == 3
    with pytest.raises(Refusal) as refused:
        await guard.ask(ADA)
    assert refused.value.reason is Reason.OVERLOADED
    assert len(directory.asked) == 2
    directory.hold.set()
    assert None not in await asyncio.gather(*held)
    assert guard.held == 0


async def test_g16_a_tenant_that_asks_much_keeps_no_other_one_waiting_or_out() -> None:
    directory, light = users(), Question(parse_address("eve@light.example"), "light")
    directory.hold = asyncio.Event()
    guard = Guard("crm", directory, Bounds(at_once=1, waiting=8, deadline=60, most=0.8))
    heavy = [asyncio.create_task(guard.ask(ADA)) for _ in range(20)]
    await directory.came.get()
    await asyncio.sleep(0)
    asked = asyncio.create_task(guard.ask(light))
    directory.hold.set()
    await asked
    assert len(directory.asked) <= 3
    refused = [each for each in await asyncio.gather(*heavy, return_exceptions=True) if isinstance(each, Refusal)]
    assert refused
    assert {each.reason for each in refused} == {Reason.OVERLOADED}


async def test_questions_that_never_had_their_turn_say_nothing_about_the_directory() -> None:
    directory = users()
    directory.hold = asyncio.Event()
    guard = Guard("crm", directory, Bounds(at_once=1, waiting=8, deadline=0.2, failures=2, pause=60))
    every = [asyncio.create_task(guard.ask(ADA)) for _ in range(5)]
    outcomes = await asyncio.gather(*every, return_exceptions=True)
    reasons = [each.reason for each in outcomes if isinstance(each, Refusal)]
    assert sorted(reason.value for reason in reasons) == ["overloaded"] * 4 + ["unavailable"]
    directory.hold.set()
    assert await guard.ask(ADA) is not None


async def test_a_question_whose_turn_comes_in_the_last_moment_says_nothing_about_the_directory() -> None:
    directory = users()
    directory.hold = asyncio.Event()
    guard = Guard("crm", directory, Bounds(at_once=1, waiting=8, deadline=0.4, failures=1, pause=60))
    first = asyncio.create_task(guard.ask(ADA))
    late = asyncio.create_task(guard.ask(ADA))
    await asyncio.sleep(0.38)
    # The first leaves: the other has a twentieth of its time left, if any, and is never put to the directory.
    first.cancel()
    with pytest.raises(Refusal) as refused:
        await late
    assert refused.value.reason is Reason.OVERLOADED
    assert len(directory.asked) == 1
    directory.hold.set()
    assert await guard.ask(ADA) is not None


async def test_a_question_that_waits_too_long_is_refused_and_counted_as_an_outage() -> None:
    directory = users()
    directory.hold = asyncio.Event()
    told: list[str] = []
    bounds = Bounds(at_once=1, deadline=0.02, failures=2, pause=60)
    guard = Guard("crm", directory, bounds, lambda outcome, _: told.append(outcome))
    assert "in time" in await cause_of(guard)
    assert "in time" in await cause_of(guard)
    assert "left alone" in await cause_of(guard)
    assert told == ["unavailable", "unavailable", "shut"]
    assert guard.held == 0
    assert len(directory.asked) == 2


async def test_after_a_pause_one_question_tries_whether_it_is_back() -> None:
    directory = users()
    directory.refuses = AwayError("refused")
    guard = Guard("crm", directory, Bounds(failures=1, pause=0, deadline=60))
    await cause_of(guard)
    directory.refuses, directory.hold = None, asyncio.Event()
    trying = asyncio.create_task(guard.ask(ADA))
    await directory.came.get()
    await directory.came.get()
    assert "left alone" in await cause_of(guard)
    directory.hold.set()
    assert await trying is not None
    assert await guard.ask(ADA) is not None


async def test_an_answer_that_is_not_clear_never_shuts_the_directory_for_others() -> None:
    directory = users()
    directory.refuses = Refusal(Reason.UNAVAILABLE, "no clear answer")
    guard = Guard("crm", directory, Bounds(failures=2, pause=60))
    for _ in range(5):
        assert await cause_of(guard) == "no clear answer"
    directory.refuses = None
    assert await guard.ask(ADA) is not None


async def test_a_caller_that_goes_away_leaves_its_place() -> None:
    directory = users()
    directory.hold = asyncio.Event()
    guard = Guard("crm", directory, Bounds(at_once=1, waiting=0, deadline=60))
    for _ in range(3):
        task = asyncio.create_task(guard.ask(ADA))
        await directory.came.get()
        task.cancel()
        await asyncio.wait([task])
        assert guard.held == 0
    directory.hold.set()
    assert await guard.ask(ADA) is not None


async def test_one_directory_that_hangs_holds_up_no_other() -> None:
    hanging, well = users(), users()
    hanging.hold = asyncio.Event()
    first, second = Guard("crm", hanging, Bounds(at_once=1, waiting=1, deadline=60)), Guard("erp", well, Bounds())
    held = [asyncio.create_task(first.ask(ADA)) for _ in range(2)]
    await hanging.came.get()
    assert await second.ask(ADA) is not None
    hanging.hold.set()
    await asyncio.gather(*held)
