"""The object store gone, silent, slow, answering 503, or giving other octets than it was given. F7, F8, F9."""

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.faults.campaign.harms import (
    Corrupted,
    CorruptedUploads,
    Cut,
    CutInTheBody,
    Silent,
    Slow,
    Truncated,
    Unavailable,
)
from tests.faults.campaign.house import House
from tests.faults.campaign.mishaps import Mishap, Touched, on_every_way


@asynccontextmanager
async def hanging(house: House, dice: random.Random) -> AsyncIterator[Touched]:
    house.store.pause()
    try:
        yield ("objects",)
    finally:
        house.store.resume()


MISHAPS = (
    Mishap("store silent", hanging, "store", (3.0, 25.0)),
    Mishap("store cut off", on_every_way("store", Cut), "ways", (2.0, 12.0)),
    Mishap("store out of reach", on_every_way("store", Silent), "ways", (3.0, 25.0)),
    Mishap("store slow", on_every_way("store", lambda: Slow(0.7)), "ways"),
    Mishap("store answers 503", on_every_way("store", Unavailable), "ways", (2.0, 12.0)),
    Mishap("store truncates", on_every_way("store", Truncated), "ways"),
    Mishap("store corrupts", on_every_way("store", Corrupted), "ways"),
    Mishap("uploads corrupted", on_every_way("store", CorruptedUploads), "ways"),
    Mishap("store cuts in the middle", on_every_way("store", CutInTheBody), "ways"),
)
