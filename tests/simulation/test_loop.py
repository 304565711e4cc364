"""The event loop of the simulation: time, order, and processes that die or pause."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from tests.simulation.loop import Process, SimulationLoop, StuckError

HOUR = 3600.0


def on(loop: SimulationLoop, work: Coroutine[Any, Any, None]) -> None:
    loop.run_until_complete(work)
    loop.finish()


def order(seed: int, *, shuffles: bool = True) -> list[int]:
    told: list[int] = []
    loop = SimulationLoop(seed)
    loop.shuffles = shuffles

    async def work(number: int) -> None:
        await asyncio.sleep(0)
        told.append(number)

    async def all_of_them() -> None:
        await asyncio.gather(*(work(number) for number in range(10)))

    on(loop, all_of_them())
    return told


def test_a_seed_chooses_what_runs_next_and_always_the_same() -> None:
    assert order(1) == order(1)
    assert order(1) != order(2)
    assert order(1, shuffles=False) == list(range(10))


def test_time_passes_only_while_nothing_is_ready() -> None:
    loop, told = SimulationLoop(1), []

    async def work() -> None:
        for _ in range(100):
            await asyncio.sleep(0)
        told.append(loop.time())
        await asyncio.sleep(HOUR)
        told.append(loop.time())

    on(loop, work())
    assert told == [0.0, HOUR]


def forever(told: list[str]) -> Coroutine[Any, Any, None]:
    async def work() -> None:
        try:
            while True:
                await asyncio.sleep(1.0)
                told.append(f"{asyncio.get_running_loop().time():g}")
        finally:
            told.append("finally")

    return work()


def test_a_process_that_dies_stops_where_it_is_and_runs_no_finally() -> None:
    loop, told = SimulationLoop(1), list[str]()
    process = Process(loop, "one")
    process.at_end(lambda: told.append("told of its end"))

    async def work() -> None:
        process.run(lambda: loop.create_task(forever(told)))
        await asyncio.sleep(2.5)
        process.die()
        await asyncio.sleep(HOUR)
        assert told == ["1", "2", "told of its end"]

    on(loop, work())
    assert loop.complaints == []


def test_a_process_that_pauses_goes_on_where_it_was() -> None:
    loop, told = SimulationLoop(1), list[str]()
    process = Process(loop, "one")

    async def work() -> None:
        process.run(lambda: loop.create_task(forever(told)))
        await asyncio.sleep(1.5)
        process.pause(50.0)
        await asyncio.sleep(52.0)
        process.die()
        assert told == ["1", "51.5", "52.5"]

    on(loop, work())


def test_who_waits_for_nothing_is_stuck() -> None:
    loop = SimulationLoop(1)

    async def work() -> None:
        await loop.create_future()

    with pytest.raises(StuckError, match="nothing is ready"):
        loop.run_until_complete(work())
    loop.finish()


def test_who_runs_in_circles_is_stuck() -> None:
    loop = SimulationLoop(1)

    async def work() -> None:
        while True:  # noqa: ASYNC110 - it is to run in circles
            await asyncio.sleep(0)

    with pytest.raises(StuckError, match="steps"):
        loop.run_until_complete(work())
    loop.finish()


def test_what_nobody_hears_of_is_kept() -> None:
    loop = SimulationLoop(1)

    async def work() -> None:
        loop.create_future().set_exception(ValueError("nobody hears of it"))

    on(loop, work())
    assert loop.complaints == ["Future exception was never retrieved: ValueError('nobody hears of it')"]
