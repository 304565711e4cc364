"""Clients that read: mail programs with habits, bad lines and bad manners, drawn by seed.

Owns what each session does, and that nobody agrees with anybody. Refuses to know what goes wrong on the other side.
"""

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count

from tests.faults.campaign.accounts import Account
from tests.faults.campaign.house import FRONTS, House
from tests.faults.campaign.lines import LineLostError, dial
from tests.faults.campaign.session import Session
from tests.faults.operations import Recorder

MOST = 25
"""Messages above which a client removes most of what it sees."""
_serial = count(1)


@dataclass(eq=False)
class Reader:
    """One mail program; it has some of the maildrops, as others have too."""

    house: House
    accounts: Sequence[Account]
    recorder: Recorder
    name: str
    dice: random.Random
    sessions: int = 0
    """How many it opened."""

    async def work(self, stop: asyncio.Event) -> None:
        """One session after another until `stop` is set, and the one under way comes to its end."""
        while not stop.is_set():
            try:
                await self._once()
            except (LineLostError, ConnectionRefusedError):
                await asyncio.sleep(0.05)
            await asyncio.sleep(self.dice.uniform(0.05, 0.5))

    async def _once(self) -> None:
        at = self.dice.choice(FRONTS)
        line = await dial(self.house.place(at), self.dice)
        account = self.dice.choice(self.accounts)
        session = Session(self.recorder, self.name, at, account, line, f"s{next(_serial)}")
        try:
            if not await session.log_in(self.dice):
                await asyncio.sleep(self.dice.uniform(0.1, 0.5))
                return
            self.sessions += 1
            await self._in_transaction(session)
        finally:
            line.drop()

    async def _in_transaction(self, session: Session) -> None:
        try:
            await self._read(session)
            ends = self.dice.random()
            if ends < 0.08:
                session.line.drop()
                session.note("dropped")
            elif ends < 0.12:
                # Nothing tells the server that this one will never say anything again, until its connection ends.
                await asyncio.sleep(self.dice.uniform(1, 6))
                session.line.drop()
                session.note("dropped")
            else:
                await session.quit(wait=ends < 0.95)
        except LineLostError:
            session.note("closed")
            raise

    async def _read(self, session: Session) -> None:
        """What programs do between login and end, in one of some orders."""
        for step in self.dice.sample((session.stat, session.list, session.uidl), 3):
            if self.dice.random() < 0.85:
                await step()
        if not session.ids and not await session.uidl():
            return
        numbers = list(session.ids)
        for number in self._some(numbers, 4):
            pause = self.dice.uniform(1, 3) if self.dice.random() < 0.04 else 0.0
            await session.retr(number, pause)
        if numbers and self.dice.random() < 0.3:
            await session.top(self.dice.choice(numbers), self.dice.choice((0, 0, 3, 1000)))
        if self.dice.random() < 0.2:
            await session.simple("noop", b"NOOP")
        await self._mark(session, numbers)

    async def _mark(self, session: Session, numbers: Sequence[int]) -> None:
        if self.dice.random() < 0.15:
            return
        most = len(numbers) - MOST // 2 if len(numbers) > MOST else 3
        for number in self._some(numbers, most, whole=len(numbers) > MOST):
            await session.dele(number)
        if self.dice.random() < 0.06:
            await session.rset()
            for number in self._some(numbers, 2):
                await session.dele(number)
        if numbers and self.dice.random() < 0.3:
            await session.stat()

    def _some(self, numbers: Sequence[int], most: int, *, whole: bool = False) -> list[int]:
        chosen = min(len(numbers), most if whole else self.dice.randint(0, most))
        return self.dice.sample(numbers, chosen)
