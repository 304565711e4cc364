"""Poplar's own processes killed, paused, replaced, given a wrong clock, or cut off from one system. F1, F2, F9-F11."""

import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from tests.faults.campaign.harms import Cut, Silent
from tests.faults.campaign.house import FRONTS, LMTPS, PROCESSES, SWEEPS, SYSTEMS, House
from tests.faults.campaign.mishaps import Happen, Mishap, Touched, suffering, touched
from tests.faults.site import paused


def killed(names: Sequence[str]) -> Happen:
    @asynccontextmanager
    async def happen(house: House, dice: random.Random) -> AsyncIterator[Touched]:
        name = dice.choice(names)
        house.kill(name)
        try:
            yield (name,)
        finally:
            await house.run(name)

    return happen


def stopped(names: Sequence[str]) -> Happen:
    @asynccontextmanager
    async def happen(house: House, dice: random.Random) -> AsyncIterator[Touched]:
        name = dice.choice(names)
        with paused(house.programs[name].pid):
            yield (name,)

    return happen


def in_turn(names: Sequence[str]) -> Happen:
    """A rolling update: each is replaced by one that serves already, and may finish what it began."""

    @asynccontextmanager
    async def happen(house: House, dice: random.Random) -> AsyncIterator[Touched]:
        for name in names:
            await house.replace(name)
        yield tuple(names)
        await house.all_left()

    return happen


@asynccontextmanager
async def wrong_clock(house: House, dice: random.Random) -> AsyncIterator[Touched]:
    """A process ends, and comes back on a machine that is ten minutes early or late."""
    name, off = dice.choice((*FRONTS, *LMTPS)), dice.choice((-600.0, 600.0))
    house.kill(name)
    await house.run(name, clock_off=off)
    try:
        yield (name,)
    finally:
        house.kill(name)
        await house.run(name)


@asynccontextmanager
async def partition(house: House, dice: random.Random) -> AsyncIterator[Touched]:
    """One process and one system can't reach each other; told at once, or by silence."""
    name, system = dice.choice(PROCESSES), dice.choice(SYSTEMS)
    ways = house.ways_of(system, name)
    with suffering(ways, dice.choice((Cut, Silent))):
        yield touched(ways)


MISHAPS = (
    Mishap("front end killed", killed(FRONTS), "processes", (1.0, 40.0)),
    Mishap("front end paused", stopped(FRONTS), "processes", outlasts_leases=True),
    Mishap("LMTP killed", killed(LMTPS), "processes", (1.0, 5.0)),
    Mishap("sweep killed", killed(SWEEPS), "processes", (1.0, 5.0)),
    Mishap("LMTP paused", stopped(LMTPS), "processes", (3.0, 15.0)),
    Mishap("front ends replaced", in_turn(FRONTS), "processes"),
    Mishap("LMTP replaced", in_turn(LMTPS), "processes"),
    Mishap("clock wrong", wrong_clock, "processes", (3.0, 12.0)),
    Mishap("partition", partition, "ways", (2.0, 25.0)),
)
