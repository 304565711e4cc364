"""All who come while things go wrong: readers, senders and staff, each with a seed of its own.

Owns how many there are and that each comes to the end of what it is doing. Refuses to judge what they hear.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from tests.faults.campaign.accounts import Account
from tests.faults.campaign.auditor import audit
from tests.faults.campaign.house import House
from tests.faults.campaign.overheard import Overheard
from tests.faults.campaign.reader import Reader
from tests.faults.campaign.sender import Sender
from tests.faults.campaign.staff import Staff
from tests.faults.campaign.waiting import until
from tests.faults.operations import Recorder


@dataclass(frozen=True)
class Size:
    """How many come."""

    maildrops: int = 8
    readers: int = 24
    senders: int = 8


@dataclass(frozen=True)
class Crowd:
    """Those who read, as far as a campaign waits for them."""

    readers: Sequence[Reader]

    @property
    def sessions(self) -> int:
        """How many they have opened so far."""
        return sum(reader.sessions for reader in self.readers)

    async def await_sessions(self, more: int) -> None:
        """Return once so many more were opened."""
        enough = self.sessions + more
        await until(lambda: self.sessions >= enough, f"{more} more sessions")


@asynccontextmanager
async def crowd(
    house: House, accounts: Sequence[Account], recorder: Recorder, size: Size, seed: int
) -> AsyncIterator[Crowd]:
    """They come again and again while the block runs. Raises what any of them could not make sense of."""
    stop = asyncio.Event()
    dice = [random.Random(f"{seed} {number}") for number in range(size.readers + size.senders + 1)]
    readers = [Reader(house, accounts, recorder, f"reader-{n}", dice.pop()) for n in range(size.readers)]
    senders = [Sender(house, accounts, recorder, f"sender-{n}", dice.pop()) for n in range(size.senders)]
    staff = Staff(house, accounts, recorder, dice.pop())
    overheard = Overheard(house, recorder)
    works = [*(each.work for each in readers), *(each.work for each in senders), staff.work]
    # What the processes say of the last sessions counts too, so it is listened to until all have come to their end.
    all_left = asyncio.Event()
    async with asyncio.TaskGroup() as listening:
        listening.create_task(overheard.work(all_left))
        try:
            async with asyncio.TaskGroup() as together:
                for work in works:
                    together.create_task(work(stop))
                try:
                    yield Crowd(readers)
                finally:
                    stop.set()
        finally:
            all_left.set()


async def audited(house: House, accounts: Sequence[Account], recorder: Recorder) -> None:
    """What is in each maildrop in the end."""
    for account in accounts:
        await audit(house, account, recorder)
