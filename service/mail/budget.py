"""A bounded number of octets that many sessions share.

Owns who may hold how many and who waits. Refuses to know what the octets are. An amount larger than
the whole bound is granted when nothing else is held, so that nothing waits for ever (G15).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from service.mail.turns import Bounds, Told, Turns, Whose


class Budget:
    """Octets in memory for one purpose, in one process; `most` is the part that one tenant alone may come to hold."""

    def __init__(
        self,
        bound: int,
        patience: float = 30.0,
        most: float = 1.0,
        *,
        resource: str = "memory",
        told: Told | None = None,
    ) -> None:
        self.turns = Turns(resource, Bounds(bound, most=most, patience=patience), told)

    @property
    def used(self) -> int:
        """Octets that are held now."""
        return self.turns.used

    def try_take(self, octets: int, whose: Whose = None, *, leaving: int = 0) -> bool:
        """Take `octets` if they are free now, `leaving` more stay so, and nobody waits."""
        return self.turns.try_take(whose, octets, cost=octets, leaving=leaving)

    async def take(self, octets: int, whose: Whose = None) -> None:
        """Take `octets`, in turn. Raises Refusal(OVERLOADED) after `patience` seconds."""
        await self.turns.take(whose, octets, cost=octets)

    def give_back(self, octets: int, whose: Whose = None) -> None:
        """Return what was taken; those who wait get theirs in turn."""
        self.turns.give_back(whose, octets)


@dataclass(slots=True)
class Share:
    """What one text holds of a budget: little at first, and more as it grows."""

    budget: Budget
    steps: Sequence[tuple[float, int]]
    """Octets of text, and what to hold for that many; ascending, the last for any text."""
    whose: Whose = None
    held: int = 0
    covered: float = -1
    """Octets of text that `held` is enough for."""

    def covers(self, octets: int) -> bool:
        """Whether a text of so many octets may go on without `grow`."""
        return octets <= self.covered

    async def grow(self, octets: int) -> None:
        """Hold enough for a text of so many octets from now on. Raises Refusal(OVERLOADED), and holds what it held."""
        covered, held = next(step for step in self.steps if octets <= step[0])
        await self.budget.take(held - self.held, self.whose)
        self.covered, self.held = covered, held

    def give_back(self) -> None:
        """Return what is held; to be called once."""
        self.budget.give_back(self.held, self.whose)
