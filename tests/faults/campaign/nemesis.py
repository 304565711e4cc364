"""What goes wrong, when, and for how long: drawn by a seed out of all that can.

Owns the order, two things at a time now and then, and the lines about it in the history. Whatever it did is mended when
it returns. Every mishap comes before any comes again.
"""

import asyncio
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count

from tests.faults.campaign import (
    mishaps_of_clients,
    mishaps_of_postgres,
    mishaps_of_processes,
    mishaps_of_redis,
    mishaps_of_the_store,
)
from tests.faults.campaign.house import House
from tests.faults.campaign.mishaps import Mishap
from tests.faults.operations import Recorder

NAME = "nemesis"
MISHAPS: tuple[Mishap, ...] = (
    *mishaps_of_processes.MISHAPS,
    *mishaps_of_postgres.MISHAPS,
    *mishaps_of_redis.MISHAPS,
    *mishaps_of_the_store.MISHAPS,
    *mishaps_of_clients.MISHAPS,
)


@dataclass(eq=False)
class Nemesis:
    """It befalls `house`."""

    house: House
    recorder: Recorder
    dice: random.Random
    lease: float
    """Seconds of a lease."""
    breath: float = 2.0
    """Seconds between two mishaps at least, and three times as long at most."""
    happened: int = 0

    async def work(self, seconds: float) -> None:
        """Mishap after mishap for so many seconds; the last one is mended when this returns."""
        clock = asyncio.get_running_loop().time
        end = clock() + seconds
        order = self._order()
        while clock() < end:
            chosen = [next(order)]
            if self.dice.random() < 0.25:
                chosen += [each for each in [next(order)] if each.touches != chosen[0].touches]
            async with asyncio.TaskGroup() as together:
                for mishap in chosen:
                    together.create_task(self.befall(mishap, self._lasting(mishap, end - clock())))
            await asyncio.sleep(self.dice.uniform(self.breath, 3 * self.breath))

    async def befall(self, mishap: Mishap, seconds: float) -> None:
        """Let it happen, wait, and mend it."""
        self.happened += 1
        number = self.happened
        begun = self.recorder.begin(NAME, "fault", what=mishap.name, fault=number)
        async with mishap.happen(self.house, self.dice) as touches:
            begun.end("ok", touches=touches)
            await asyncio.sleep(seconds)
            mending = self.recorder.begin(NAME, "mended", what=mishap.name, fault=number, touches=touches)
        mending.end("ok")

    def _order(self) -> Iterator[Mishap]:
        """All of them in some order, then all again in another."""
        for _ in count():
            yield from self.dice.sample(MISHAPS, len(MISHAPS))

    def _lasting(self, mishap: Mishap, left: float) -> float:
        if mishap.outlasts_leases:
            return self.lease * self.dice.uniform(1.2, 1.6)
        shortest, longest = mishap.seconds
        return self.dice.uniform(shortest, max(shortest, min(longest, left)))


def named(*names: str) -> Sequence[Mishap]:
    """These mishaps. Raises KeyError for a name that none has."""
    known = {mishap.name: mishap for mishap in MISHAPS}
    return [known[name] for name in names]
