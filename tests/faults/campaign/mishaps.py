"""One thing that goes wrong, for as long as a block runs: what every kind of it has in common.

Owns the names, how long each lasts, and what it touches, so that two may go on at once. Refuses to know when.
"""

import random
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass

from tests.faults.campaign.house import House
from tests.faults.campaign.links import Harm, Way

Touched = tuple[str, ...]
"""What is not itself meanwhile: processes by their names, "postgres", "redis", "objects"."""
Happen = Callable[[House, random.Random], AbstractAsyncContextManager[Touched]]


@dataclass(frozen=True)
class Mishap:
    """`happen` yields what it touched once it is there, and mends it when the block ends."""

    name: str
    happen: Happen
    touches: str
    """The part of the house that nothing else may befall meanwhile."""
    seconds: tuple[float, float] = (2.0, 6.0)
    """How long it lasts, from and to."""
    outlasts_leases: bool = False
    """Whether it must last longer than a lease."""


@contextmanager
def suffering(ways: Sequence[Way], harm: Callable[[], Harm]) -> Iterator[None]:
    """A harm of its own befalls each of these ways while the block runs."""
    for way in ways:
        way.suffer(harm())
    try:
        yield
    finally:
        for way in ways:
            way.mend()


def on_every_way(system: str, harm: Callable[[], Harm]) -> Happen:
    """It befalls all processes' ways to a system, or, as often, those of some."""

    @asynccontextmanager
    async def happen(house: House, dice: random.Random) -> AsyncIterator[Touched]:
        ways = house.ways_of(system)
        chosen = ways if dice.random() < 0.5 else dice.sample(ways, dice.randint(1, len(ways) - 1))
        with suffering(chosen, harm):
            yield touched(chosen)

    return happen


def touched(ways: Sequence[Way]) -> Touched:
    """Both ends of each."""
    systems = {"store": "objects"}
    return tuple(dict.fromkeys(end for way in ways for end in (systems.get(way.system, way.system), way.source)))
