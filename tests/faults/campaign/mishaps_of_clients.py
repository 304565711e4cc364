"""Clients that can't reach a front end or an LMTP process, or only slowly: cut off, or by silence. F9.

The process itself is well, and must find out that whom it serves is gone. Nothing excuses it but that an end which
nobody tells is not heard.
"""

import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from tests.faults.campaign.harms import Cut, Silent, Slow
from tests.faults.campaign.house import CLIENTS, House
from tests.faults.campaign.links import Harm
from tests.faults.campaign.mishaps import Happen, Mishap, Touched, suffering


def at_some_doors(harm: Callable[[], Harm]) -> Happen:
    """It befalls the ways of all clients to some processes, or to all."""

    @asynccontextmanager
    async def happen(house: House, dice: random.Random) -> AsyncIterator[Touched]:
        doors = list(house.doors.values())
        with suffering(dice.sample(doors, dice.randint(1, len(doors))), harm):
            yield (CLIENTS,)

    return happen


MISHAPS = (
    Mishap("clients cut off", at_some_doors(Cut), CLIENTS),
    Mishap("clients out of reach", at_some_doors(Silent), CLIENTS, (2.0, 25.0)),
    Mishap("clients slow", at_some_doors(lambda: Slow(0.1)), CLIENTS, (2.0, 12.0)),
)
