"""Long texts rest where short ones come as well, and nowhere else. G16.

RFC 5321 §4.5.3.2.5: a sender waits for minutes until the next octets of its text are taken, not for ever.
"""

import asyncio
from collections.abc import Callable

import pytest

from service.mail.long_texts import AT_ONCE, LATELY, PART, REST, LongTexts
from service.mail.pace import Pace
from service.mail.turns import Bounds, Turns

pytestmark = pytest.mark.asyncio(loop_factories=["asyncio", "uvloop"])
BUT_A_LITTLE = AT_ONCE / 100
AN_HOUR = 3600.0


class Stage:
    """Long texts whose pieces take what they say."""

    def __init__(self) -> None:
        self.now = self.used = 0.0
        self.turns = Turns("long_texts", Bounds(1))
        self.texts = LongTexts(Pace(4), self.turns, lambda: self.now, lambda: self.used)
        self.taken: list[str] = []

    def piece(self, whose: str, seconds: float) -> None:
        """Have a piece of this tenant's taken in turn, which takes so long."""

        def taken() -> None:
            self.used += seconds
            self.taken.append(whose)

        self.texts.soon(whose, taken)

    def begun(self, *tenants: str) -> None:
        """A short text came, and these tenants had all that each may have at once."""
        self.texts.short_came()
        for whose in tenants:
            self.piece(whose, AT_ONCE + BUT_A_LITTLE)

    async def rounds(self) -> None:
        """Let whatever is ready run, and what follows from it."""
        for _ in range(50):
            await asyncio.sleep(0)


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 - there is no event to wait for
            await asyncio.sleep(0)


async def test_they_have_all_of_the_loop_where_no_short_one_came_lately() -> None:
    stage = Stage()
    for _ in range(5):
        stage.piece("long", AN_HOUR)
        await stage.rounds()
    stage.begun("another")
    stage.now = LATELY
    stage.piece("another", AN_HOUR)
    stage.piece("another", AN_HOUR)
    await until(lambda: stage.taken == [*["long"] * 5, *["another"] * 3])
    assert stage.turns.used == 0


async def test_what_a_tenant_needs_now_and_then_it_has_at_once() -> None:
    stage = Stage()
    stage.texts.short_came()
    for _ in range(3):
        stage.piece("long", AT_ONCE)
        await stage.rounds()
        # It is paid for by the part of the loop that is for long texts.
        stage.now += AT_ONCE / PART
    assert (stage.taken, stage.turns.used) == (["long"] * 3, 0)


async def test_beyond_that_the_loop_rests_after_a_piece_and_others_have_theirs() -> None:
    stage = Stage()
    stage.begun("long")
    stage.piece("long", AN_HOUR)
    stage.piece("long", AN_HOUR)
    await stage.rounds()
    assert (stage.taken, stage.turns.used) == (["long"] * 2, 1)
    stage.piece("another", AT_ONCE)
    stage.piece("another", AT_ONCE)
    await until(lambda: stage.taken == [*["long"] * 2, *["another"] * 2])


async def test_it_goes_on_once_it_has_rested() -> None:
    stage = Stage()
    stage.begun("long")
    for _ in range(3):
        stage.piece("long", REST)
    await until(lambda: len(stage.taken) == 4 and stage.turns.used == 0)


async def test_a_rest_that_is_not_worth_a_timer_is_made_later(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Stage()
    rests = []
    monkeypatch.setattr(asyncio.get_running_loop(), "call_later", lambda rest, _: rests.append(rest), raising=False)
    stage.begun("long")
    short = REST * PART / 2
    for _ in range(9):
        stage.piece("long", short)
    await stage.rounds()
    # Three of them are worth a rest, during which the next waits.
    assert (len(stage.taken), stage.turns.used) == (4, 1)
    assert rests == [pytest.approx(3 * short * (1 / PART - 1))]


async def test_tenants_that_had_enough_take_turns_whatever_each_has_ready() -> None:
    stage = Stage()
    stage.begun("one", "another")
    for whose in [*["one"] * 8, *["another"] * 2]:
        stage.piece(whose, REST)
    await until(lambda: len(stage.taken) == 12)
    assert stage.taken[2:6].count("another") == 2


async def test_a_piece_that_fails_leaves_its_turn_to_the_next() -> None:
    stage = Stage()
    stage.begun("long")
    heard = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: heard.append(context["exception"]))

    def fails() -> None:
        stage.used += BUT_A_LITTLE
        raise ZeroDivisionError

    stage.texts.soon("long", fails)
    stage.piece("long", BUT_A_LITTLE)
    await until(lambda: len(stage.taken) == 2 and stage.turns.used == 0)
    assert [type(error) for error in heard] == [ZeroDivisionError]


async def test_tenants_that_owe_nothing_are_forgotten() -> None:
    stage = Stage()
    for number in range(1000):
        stage.piece(str(number), PART)
        stage.now += 1.0
        await stage.rounds()
    assert len(stage.texts._paid) < 100
