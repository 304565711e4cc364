"""A bounded number of octets that many sessions share.

Owns who may hold how many and who waits. Refuses to know what the octets are. An amount larger than
the whole bound is granted when nothing else is held, so that nothing waits for ever (G15).
"""

import asyncio
from collections import deque
from dataclasses import dataclass

from service.model.refusal import Reason, Refusal


class Budget:
    """Octets in memory for one purpose, in one process."""

    def __init__(self, bound: int, patience: float = 30.0) -> None:
        self._bound = bound
        self._patience = patience
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()
        self.used = 0

    def try_take(self, octets: int) -> bool:
        """Take `octets` if they are free now and nobody waits."""
        if self._waiting or not self._fits(octets):
            return False
        self.used += octets
        return True

    async def take(self, octets: int) -> None:
        """Take `octets`, in turn. Raises Refusal(OVERLOADED) after `patience` seconds."""
        if self.try_take(octets):
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        entry = (octets, turn)
        self._waiting.append(entry)
        try:
            async with asyncio.timeout(self._patience):
                await turn
        except BaseException as error:
            self._withdraw(entry)
            if isinstance(error, TimeoutError):
                raise Refusal(Reason.OVERLOADED, "no memory left for another message") from error
            raise

    def give_back(self, octets: int) -> None:
        """Return what was taken; those who wait get theirs in turn."""
        self.used -= octets
        self._grant()

    def _fits(self, octets: int) -> bool:
        return self.used + octets <= self._bound or self.used == 0

    def _grant(self) -> None:
        while self._waiting and self._fits(self._waiting[0][0]):
            octets, turn = self._waiting.popleft()
            if not turn.done():
                self.used += octets
                turn.set_result(None)

    def _withdraw(self, entry: tuple[int, "asyncio.Future[None]"]) -> None:
        """Leave the queue; what was granted in the same moment is given back."""
        if entry in self._waiting:
            self._waiting.remove(entry)
            self._grant()
        elif entry[1].done() and not entry[1].cancelled():
            self.give_back(entry[0])


@dataclass(slots=True)
class Share:
    """What one text holds of a budget: little while it is no longer than it was said to be, `worst` once it is."""

    budget: Budget
    held: int
    worst: int
    expected: int
    """Octets of text that `held` is enough for."""

    def covers(self, octets: int) -> bool:
        """Whether a text of so many octets may go on without `grow`."""
        return self.held >= self.worst or octets <= self.expected

    async def grow(self) -> None:
        """Hold `worst` from now on. Raises Refusal(OVERLOADED), and holds what it held."""
        await self.budget.take(self.worst - self.held)
        self.held = self.worst

    def give_back(self) -> None:
        """Return what is held; to be called once."""
        self.budget.give_back(self.held)
