"""A round of the event loop's time, class by class: what each had of it, and who of it waits.

Owns what is known of one caller and of one class. Steps are many and few ask what they came to, so what they took is
noted, and summed up when somebody asks. Refuses to know the order, and how long a round is.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Hashable
from contextvars import Context
from dataclasses import dataclass, field
from typing import NamedTuple

SHORT = 0.00005
"""Seconds of a step that counts as one."""


class Waiter(NamedTuple):
    """One caller in a queue: `turn` for who waits for it, or a `call` to be made in it."""

    since: float
    turn: asyncio.Future[float] | None
    call: Callable[[], object] | None
    context: Context | None


@dataclass(slots=True, eq=False)
class Class:
    """What one class had, and who of it waits, in order."""

    whose: Hashable
    finish: float
    """When all it had in rounds before this one is paid for, in virtual time."""
    stays: bool
    """Whether it is more than a stranger's, who may turn out to be anybody's."""
    took: list[float] = field(default_factory=list)
    """Seconds of each of its steps in the present round that isn't in the sums below."""
    spent: float = 0.0
    """Seconds of the present round: no step is shorter there than SHORT, and one that is under way is reckoned."""
    owed: float = 0.0
    """Seconds that its steps in the present round took, not yet in virtual time."""
    usual: float = SHORT
    """Seconds that its steps take of late which waited; what the next one is reckoned at until it is over."""
    waiting: deque[Waiter] = field(default_factory=deque)
    waits: int = 0
    """How many of it had to wait since somebody looked."""

    def part(self) -> float:
        """What it had of the present round, which few ask for: seconds."""
        for seconds in self.took:
            self.spent += max(seconds, SHORT)
            self.owed += seconds
        self.took.clear()
        return self.spent

    def reckoned(self, seconds: float, counted: float) -> float:
        """A step that waited took so long, `counted` of which its round knows; the seconds that are news."""
        self.usual = max((self.usual + seconds) / 2, SHORT)
        known = min(seconds, counted)
        self.spent -= known
        return seconds - known


class Round(dict[Hashable, list[float]]):
    """What the steps of each class took in one round, in seconds: who isn't among them when its step ends joins."""

    __slots__ = ("_join",)

    def __init__(self, join: Callable[[Hashable], list[float]]) -> None:
        super().__init__()
        self._join = join

    def __missing__(self, whose: Hashable) -> list[float]:
        return self._join(whose)
