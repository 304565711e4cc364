"""Redis gone, emptied, full, silent or slow. F3, F4, F9, F12."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.faults.campaign.harms import Cut, Silent, Slow
from tests.faults.campaign.house import House
from tests.faults.campaign.mishaps import Mishap, Touched, on_every_way
from tests.faults.site import paused


@asynccontextmanager
async def gone(house: House, dice: random.Random) -> AsyncIterator[Touched]:
    """It dies, and comes back empty."""
    await asyncio.to_thread(house.valkey.kill)
    try:
        yield ("redis",)
    finally:
        await asyncio.to_thread(house.valkey.start)


@asynccontextmanager
async def emptied(house: House, dice: random.Random) -> AsyncIterator[Touched]:
    await asyncio.to_thread(_empty, house)
    yield ("redis",)


@asynccontextmanager
async def full(house: House, dice: random.Random) -> AsyncIterator[Touched]:
    """It takes no more writes: maxmemory with noeviction."""
    await asyncio.to_thread(_limit, house, 1)
    try:
        yield ("redis",)
    finally:
        await asyncio.to_thread(_limit, house, 0)


@asynccontextmanager
async def hanging(house: House, dice: random.Random) -> AsyncIterator[Touched]:
    with paused(house.valkey.pid):
        yield ("redis",)


def _empty(house: House) -> None:
    with house.valkey.client() as client:
        client.flushall()


def _limit(house: House, octets: int) -> None:
    with house.valkey.client() as client:
        client.config_set("maxmemory", octets)


MISHAPS = (
    Mishap("Redis gone", gone, "redis", (2.0, 40.0)),
    Mishap("Redis emptied", emptied, "redis"),
    Mishap("Redis full", full, "redis", (2.0, 40.0)),
    Mishap("Redis silent", hanging, "redis", (2.0, 40.0)),
    Mishap("Redis cut off", on_every_way("redis", Cut), "ways", (2.0, 15.0)),
    Mishap("Redis out of reach", on_every_way("redis", Silent), "ways", (2.0, 40.0)),
    Mishap("Redis slow", on_every_way("redis", lambda: Slow(0.2)), "ways"),
)
