"""Memory for the texts on their way by LMTP: what each holds, little at first and more as it grows.

Owns that texts that only begin keep no other from going on: half of the memory is for the first octets of texts, half
for those that grow, and what a text may come to need is never more than its half. So many texts at once leave room for
some to come to their end; two that declared too little may wait for each other until patience ends. Refuses to know the
texts.
RFC 1870 §6.3 (what is declared may be wrong).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from service.mail.budget import Budget
from service.mail.told import Told
from service.mail.turns import Whose


def halves(bound: int) -> tuple[int, int]:
    """How many octets are for texts that begin, and for those that grow, where there are `bound` for all."""
    return bound // 2, bound - bound // 2


class TextMemory:
    """So many octets for all texts of one process; `most` is the part of each half that one tenant may come to hold."""

    def __init__(self, bound: int, patience: float = 30.0, most: float = 1.0, told: Told | None = None) -> None:
        first, more = halves(bound)
        self.first = Budget(first, patience, most, resource="delivery", told=told)
        self.more = Budget(more, patience, most, resource="delivery", told=told)

    @property
    def used(self) -> int:
        """Octets that are held now."""
        return self.first.used + self.more.used

    @property
    def waiting(self) -> int:
        """Texts that wait for memory."""
        return self.first.turns.waiting + self.more.turns.waiting


@dataclass(slots=True)
class Share:
    """What one text holds of the memory."""

    memory: TextMemory
    steps: Sequence[tuple[float, int]]
    """Octets of text, and what to hold for that many; ascending, the last for any text."""
    whose: Whose = None
    covered: float = -1
    """Octets of text that what is held is enough for."""
    _held: dict[Budget, int] = field(default_factory=dict)

    def covers(self, octets: int) -> bool:
        """Whether a text of so many octets may go on without `grow`."""
        return octets <= self.covered

    async def grow(self, octets: int) -> None:
        """Hold enough for a text of so many octets from now on. Raises Refusal(OVERLOADED), and holds what it held."""
        covered, budget, more = self._wanted(octets)
        if more:
            await budget.take(more, self.whose)
        self._hold(covered, budget, more)

    def try_grow(self, octets: int) -> bool:
        """The same, if it can be had at once."""
        covered, budget, more = self._wanted(octets)
        if more and not budget.try_take(more, self.whose):
            return False
        self._hold(covered, budget, more)
        return True

    def _wanted(self, octets: int) -> tuple[float, Budget, int]:
        """How long a text will be covered, and what of which half that takes."""
        covered, need = next(step for step in self.steps if octets <= step[0])
        budget = self.memory.more if self._held else self.memory.first
        # What it holds already stands in its own way: nothing above all there is would ever be granted.
        more = min(need - sum(self._held.values()), budget.bound - self._held.get(budget, 0))
        return covered, budget, more

    def _hold(self, covered: float, budget: Budget, more: int) -> None:
        self.covered = covered
        self._held[budget] = self._held.get(budget, 0) + more

    def give_back(self) -> None:
        """Return what is held; to be called once."""
        for budget, octets in self._held.items():
            budget.give_back(octets, self.whose)
