"""A bounded number of octets that many sessions share.

Owns who may hold how many and who waits. Refuses to know what the octets are. An amount larger than
the whole bound is granted when nothing else is held, so that nothing waits for ever (G15).
"""

from service.mail.told import Told
from service.mail.turns import Bounds, Turns, Whose


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
        self.bound = bound
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
