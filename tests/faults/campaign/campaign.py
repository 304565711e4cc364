"""A campaign: the house, its crowd, the nemesis, and in the end a last look into every maildrop.

Owns the order, and the history it leaves in a folder. Refuses to judge it (`tests/faults/checker.py`).
"""

import asyncio
import random
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from service.settings.systems import RedisSettings
from tests.faults.campaign.accounts import provide
from tests.faults.campaign.crowd import Crowd, Size, audited, crowd
from tests.faults.campaign.house import House, house_in
from tests.faults.campaign.nemesis import Nemesis
from tests.faults.operations import Recorder

HISTORY = "history.jsonl"
LIVELY = 10.0
"""Seconds in which the crowd comes to be at work before anything goes wrong, and in which it recovers in the end."""


@dataclass(frozen=True)
class Running:
    """A campaign that is under way."""

    house: House
    recorder: Recorder
    nemesis: Nemesis
    crowd: Crowd


@asynccontextmanager
async def under_way(folder: Path, seed: int, size: Size, **values: Mapping[str, object]) -> AsyncIterator[Running]:
    """Clients at work on an installation below `folder`; its history is whole once the block has ended."""
    lease = RedisSettings.model_validate(values.get("redis", {})).lease_seconds
    with (folder / HISTORY).open("w", encoding="utf-8") as file:
        recorder = Recorder(file)
        async with house_in(folder, **values) as house:
            accounts = await provide(house.staff(), size.maildrops, recorder)
            nemesis = Nemesis(house, recorder, random.Random(seed), lease)
            async with crowd(house, accounts, recorder, size, seed) as comers:
                yield Running(house, recorder, nemesis, comers)
            await audited(house, accounts, recorder)


BUSY = {"deadline": 3.0}
"""A Redis on a busy machine is not to be taken for one that is away."""


async def run(folder: Path, seed: int, minutes: float, size: Size) -> None:
    """All of it, with Poplar's own settings but for Redis' deadline; with an odd seed people may read on in outages."""
    outage = {"read_only": seed % 2 == 1}
    async with under_way(folder, seed, size, redis=BUSY, outage=outage) as running:
        await asyncio.sleep(LIVELY)
        await running.nemesis.work(minutes * 60)
        await asyncio.sleep(LIVELY)
