"""The wheel of deadlines, on a loop whose clock the test steers and on both real ones (RFC 1939 §3)."""

import asyncio
import random
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import pytest

from service.net.deadline import COARSE, Deadline, Wheel, wheel_of


class SteeredLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock moves when it is told to, and that counts the timers it makes."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1000.0
        self.timers = 0

    def time(self) -> float:
        return self.now

    def call_at(self, *args: object, **kwargs: object) -> asyncio.TimerHandle:
        self.timers += 1
        return super().call_at(*args, **kwargs)  # type: ignore[arg-type]

    def advance(self, seconds: float) -> None:
        """Move the clock in steps of a tenth, running what is due at each."""
        for _ in range(round(seconds * 10)):
            self.now += 0.1
            self.run_until_complete(asyncio.sleep(0))


class Watched:
    """A deadline and the moments at which it expired."""

    def __init__(self, loop: SteeredLoop) -> None:
        self.expired: list[float] = []
        self.loop = loop
        self.deadline = loop.run_until_complete(self._make())

    @property
    def wheel(self) -> Wheel:
        return self.deadline._wheel

    async def _make(self) -> Deadline:
        return Deadline(lambda: self.expired.append(round(self.loop.now, 1)))


@contextmanager
def _steered() -> Iterator[Watched]:
    loop = SteeredLoop()
    try:
        yield Watched(loop)
    finally:
        loop.close()


@pytest.fixture
def watched() -> Iterator[Watched]:
    with _steered() as watched:
        yield watched


def test_it_expires_once_when_its_moment_comes(watched: Watched) -> None:
    watched.deadline.set(5)
    watched.loop.advance(20)
    assert watched.expired == [pytest.approx(1005, abs=0.15)]


def test_it_never_expires_before_its_moment(watched: Watched) -> None:
    watched.deadline.set(5)
    watched.loop.advance(4.8)
    assert watched.expired == []


def test_setting_it_again_moves_it_later(watched: Watched) -> None:
    for _ in range(10):
        watched.deadline.set(5)
        watched.loop.advance(4)
    assert watched.expired == []
    watched.loop.advance(2)
    assert len(watched.expired) == 1


def test_setting_it_again_moves_it_earlier(watched: Watched) -> None:
    watched.deadline.set(600)
    watched.deadline.set(5)
    watched.loop.advance(6)
    assert watched.expired == [pytest.approx(1005, abs=0.15)]


def test_a_busy_connection_makes_no_timers(watched: Watched) -> None:
    for _ in range(10_000):
        watched.deadline.set(600)
    assert watched.loop.timers == 1


def test_what_a_short_session_waits_for_moves_nothing(watched: Watched) -> None:
    """RFC 1939 §3: the autologout is far away, the wait for the client to take the last response nearer."""
    watched.deadline.set(600)
    (tick,) = watched.wheel._ticks
    watched.deadline.set(300)
    assert list(watched.wheel._ticks) == [tick]
    watched.loop.advance(302)
    assert watched.expired == [pytest.approx(1300.5, abs=0.7)]


def test_the_wait_for_a_close_moves_nothing(watched: Watched) -> None:
    """RFC 8314 §3.4: five seconds for the client's close_notify, at the end of a session that was short."""
    watched.loop.now += 0.3
    watched.deadline.set(600)
    (tick,) = watched.wheel._ticks
    watched.deadline.set(5)
    assert list(watched.wheel._ticks) == [tick]
    watched.loop.advance(6)
    assert watched.expired == [pytest.approx(1005.3, abs=0.15)]


def test_one_that_is_near_comes_no_later_for_what_stands_near_at_first(watched: Watched) -> None:
    watched.loop.now += 0.3
    watched.deadline.set(4.2)
    watched.loop.advance(6)
    assert watched.expired == [pytest.approx(1004.5, abs=0.15)]


def test_a_cleared_one_does_not_expire_and_may_be_set_again(watched: Watched) -> None:
    watched.deadline.set(5)
    watched.deadline.clear()
    watched.loop.advance(10)
    assert watched.expired == []
    watched.deadline.set(1)
    watched.loop.advance(2)
    assert len(watched.expired) == 1


def test_a_cleared_one_set_for_later_keeps_to_the_later_moment(watched: Watched) -> None:
    watched.deadline.set(5)
    watched.deadline.clear()
    watched.deadline.set(8)
    watched.loop.advance(7)
    assert watched.expired == []
    watched.loop.advance(2)
    assert len(watched.expired) == 1


def test_it_may_be_set_again_as_it_expires(watched: Watched) -> None:
    async def renewing() -> Deadline:
        def expired() -> None:
            watched.expired.append(watched.loop.now)
            if len(watched.expired) < 3:
                deadline.set(1)

        deadline = Deadline(expired)
        deadline.set(1)
        return deadline

    watched.loop.run_until_complete(renewing())
    watched.loop.advance(10)
    assert len(watched.expired) == 3


def test_a_closed_one_leaves_no_timer_behind(watched: Watched) -> None:
    watched.deadline.set(5)
    watched.deadline.close()
    watched.deadline.close()
    watched.loop.advance(10)
    assert (watched.expired, watched.wheel._timer, watched.wheel._ticks) == ([], None, {})


def test_one_that_a_moment_later_is_no_longer_due_does_not_expire(watched: Watched) -> None:
    """A command may come in the same turn of the loop as the tick."""
    watched.deadline.set(5)
    watched.loop.now += 6
    watched.deadline.come()
    watched.deadline.set(5)
    watched.loop.advance(4)
    assert watched.expired == []
    watched.loop.advance(2)
    assert len(watched.expired) == 1


def test_thousands_share_one_timer_and_each_keeps_to_its_own_moment(watched: Watched) -> None:
    dice = random.Random(3)
    moments = [dice.uniform(0.1, 100.0) for _ in range(3_000)]
    expired: dict[int, float] = {}

    async def make() -> list[Deadline]:
        return [Deadline(partial(lambda n: expired.__setitem__(n, watched.loop.now), n)) for n in range(len(moments))]

    deadlines = watched.loop.run_until_complete(make())
    for deadline, moment in zip(deadlines, moments, strict=True):
        deadline.set(moment)
    for deadline in deadlines[::3]:
        deadline.close()
    watched.loop.advance(102)
    late = [expired[n] - 1000 - moment for n, moment in enumerate(moments) if n % 3]
    assert expired.keys() == {n for n in range(len(moments)) if n % 3}
    assert min(late) >= 0
    assert max(late) <= COARSE + 0.25
    assert watched.wheel._timer is None


def test_what_one_raises_keeps_no_other_from_expiring(watched: Watched) -> None:
    told: list[object] = []
    watched.loop.set_exception_handler(lambda _loop, context: told.append(context["exception"]))

    def fails() -> None:
        raise ValueError

    async def make() -> list[Deadline]:
        return [Deadline(fails), Deadline(lambda: watched.expired.append(watched.loop.now)), Deadline(fails)]

    for deadline in watched.loop.run_until_complete(make()):
        deadline.set(5)
    watched.loop.advance(6)
    assert (len(watched.expired), len(told)) == (1, 2)


def test_another_loop_has_another_wheel(watched: Watched) -> None:
    with _steered() as other:
        assert other.wheel is not watched.wheel
        other.deadline.set(5)
        watched.deadline.set(5)
        other.loop.advance(6)
        assert (len(other.expired), watched.expired) == (1, [])
    watched.loop.advance(6)
    assert len(watched.expired) == 1


@pytest.mark.asyncio(loop_factories=["asyncio", "uvloop"])
async def test_it_expires_on_a_real_loop() -> None:
    loop = asyncio.get_running_loop()
    expired: asyncio.Future[float] = loop.create_future()
    deadline = Deadline(lambda: expired.set_result(loop.time()))
    began = loop.time()
    deadline.set(10)
    deadline.set(0.01)
    deadline.set(0.05)
    assert await expired - began >= 0.049


@pytest.mark.asyncio(loop_factories=["asyncio", "uvloop"])
async def test_one_is_set_while_the_timer_of_another_is_due_at_once() -> None:
    """A busy loop may be late by just so much; uvloop makes no timer of what is due, and what it makes has no time."""
    loop = asyncio.get_running_loop()
    expired: asyncio.Future[None] = loop.create_future()
    wheel, due, later = wheel_of(loop), Deadline(lambda: None), Deadline(lambda: expired.set_result(None))
    wheel.put(due, loop.time() - 1, 0.05)
    later.set(0.05)
    await expired


def test_a_connection_that_is_busy_within_one_tick_stays_where_it_stands(watched: Watched) -> None:
    """RFC 1939 §3: each command moves the autologout, of which there are many in a second."""
    watched.deadline.set(600)
    (tick,) = watched.wheel._ticks
    for _ in range(5):
        watched.loop.advance(0.01)
        watched.deadline.set(600)
    assert list(watched.wheel._ticks) == [tick]
    watched.loop.advance(602)
    assert len(watched.expired) == 1
    assert 1600.05 <= watched.expired[0] <= 1601.2
