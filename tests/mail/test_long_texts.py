"""Long texts rest where short ones come as well, and nowhere else. G16.

RFC 5321 §4.5.3.2.5: a sender waits for minutes until the next octets of its text are taken, not for ever.
"""

import asyncio
from collections.abc import Callable
from functools import partial

import pytest

from service.mail.long_texts import AT_ONCE, LATELY, LONGEST_REST, MOST_OWED, PART, REST, LongTexts
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
        self.pace = Pace(4)
        self.texts = LongTexts(self.pace, self.turns, lambda: self.now, lambda: self.used)
        self.taken: list[str] = []

    def piece(self, whose: str, seconds: float) -> None:
        """Have a piece of this tenant's taken in turn, which takes so long."""

        def taken() -> None:
            self.used += seconds
            self.taken.append(whose)

        self.texts.soon(whose, taken)

    def begun(self) -> None:
        """A short text came, and they had all that they may have at once."""
        self.texts.short_came()
        self.piece("long", AT_ONCE + BUT_A_LITTLE)

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
    stage.begun()
    await stage.rounds()
    stage.now = LATELY
    stage.piece("another", AN_HOUR)
    stage.piece("another", AN_HOUR)
    await until(lambda: len(stage.taken) == 8 and stage.turns.used == 0)
    assert stage.taken == [*["long"] * 6, *["another"] * 2]


async def test_what_they_need_now_and_then_they_have_at_once() -> None:
    stage = Stage()
    stage.texts.short_came()
    for _ in range(3):
        stage.piece("long", AT_ONCE - BUT_A_LITTLE)
        await stage.rounds()
        # It is paid for by the part of the loop that is for long texts.
        stage.now += AT_ONCE / PART
    assert (stage.taken, stage.turns.used) == (["long"] * 3, 0)


async def test_beyond_that_none_is_taken_for_a_while_of_whomever(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Stage()
    stage.begun()
    loop = asyncio.get_running_loop()
    rests: list[float] = []
    monkeypatch.setattr(loop, "call_later", lambda rest, _: rests.append(rest), raising=False)
    stage.piece("long", AN_HOUR)
    stage.piece("long", AN_HOUR)
    stage.piece("another", BUT_A_LITTLE)
    await stage.rounds()
    assert (stage.taken, stage.turns.used, stage.turns.waiting) == (["long"] * 2, 1, 2)
    assert rests == [LONGEST_REST]


async def test_what_they_had_while_nobody_minded_is_not_paid_for_without_end() -> None:
    stage = Stage()
    for _ in range(5):
        stage.piece("long", AN_HOUR)
        await stage.rounds()
    stage.now += (MOST_OWED - AT_ONCE + BUT_A_LITTLE) / PART
    stage.texts.short_came()
    stage.piece("long", BUT_A_LITTLE)
    await stage.rounds()
    assert (len(stage.taken), stage.turns.used) == (6, 0)


async def test_it_goes_on_once_it_has_rested() -> None:
    stage = Stage()
    stage.begun()
    for _ in range(3):
        stage.piece("long", REST)
    await until(lambda: len(stage.taken) == 4 and stage.turns.used == 0)


async def test_a_rest_that_is_not_worth_a_timer_is_made_later(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Stage()
    rests = []
    monkeypatch.setattr(asyncio.get_running_loop(), "call_later", lambda rest, _: rests.append(rest), raising=False)
    stage.begun()
    short = REST * PART / 2
    for _ in range(9):
        stage.piece("long", short)
    await stage.rounds()
    # Three of them are worth a rest, during which the next waits.
    assert (len(stage.taken), stage.turns.used) == (4, 1)
    assert rests == [pytest.approx(3 * short * (1 / PART - 1))]


async def test_tenants_take_turns_whatever_each_has_ready() -> None:
    stage = Stage()
    stage.begun()
    for whose in [*["one"] * 8, *["another"] * 2]:
        stage.piece(whose, REST)
    await until(lambda: len(stage.taken) == 11)
    assert stage.taken[1:5].count("another") == 2


async def test_many_tenants_have_no_more_than_that_part_together(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Stage()
    rests: list[tuple[float, Callable[[], object]]] = []

    def call_later(rest: float, give_back: Callable[[], object]) -> None:
        rests.append((stage.now + rest, give_back))

    monkeypatch.setattr(asyncio.get_running_loop(), "call_later", call_later, raising=False)
    stage.begun()
    for _ in range(100):
        for tenant in range(6):
            stage.piece(f"tenant {tenant}", BUT_A_LITTLE)
        await stage.rounds()
        stage.now += BUT_A_LITTLE / PART
        while rests and rests[0][0] <= stage.now:
            rests.pop(0)[1]()
    # Six tenants, each of which asks for as much as there is for all, have nearly that.
    assert stage.turns.waiting > 400
    assert 50 * BUT_A_LITTLE < stage.used - AT_ONCE < 110 * BUT_A_LITTLE


async def test_g16_who_has_the_turn_of_all_tenants_waits_for_no_step_of_its_own() -> None:
    stage = Stage()
    stage.begun()
    steps = 0

    def step() -> None:
        nonlocal steps
        steps += 1

    for _ in range(1000):
        stage.pace.line_up("crowded", partial(stage.pace.run, "crowded", step))
    stage.piece("crowded", REST)
    await until(lambda: stage.taken[-1] == "crowded")
    assert steps < 100


async def test_a_piece_that_fails_leaves_its_turn_to_the_next() -> None:
    stage = Stage()
    stage.begun()
    heard = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: heard.append(context["exception"]))

    def fails() -> None:
        stage.used += BUT_A_LITTLE
        raise ZeroDivisionError

    stage.texts.soon("long", fails)
    stage.piece("long", BUT_A_LITTLE)
    await until(lambda: len(stage.taken) == 2 and stage.turns.used == 0)
    assert [type(error) for error in heard] == [ZeroDivisionError]
