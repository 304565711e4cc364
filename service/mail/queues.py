"""Who waits for a turn, class by class.

Owns what is known of one caller and of one class. Refuses to know the order in which turns are given.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Hashable
from contextvars import Context
from dataclasses import dataclass, field


@dataclass(slots=True, eq=False)
class Waiter:
    """One caller in a queue."""

    whose: Hashable
    amount: int
    cost: float
    turn: asyncio.Future[None] | None
    """For who waits for it; None for a `call` that is made in it."""
    since: float
    """When it came, by the monotonic clock."""
    call: Callable[[], object] | None = None
    context: Context | None = None
    over: bool = False
    """Whether the turn was given, or the caller left."""

    @property
    def gone(self) -> bool:
        """Whether no turn may be given any more; whoever is cancelled leaves a moment later."""
        return self.over or (self.turn is not None and self.turn.done())


@dataclass(slots=True, eq=False)
class Queue:
    """What one class holds, when all it had is paid for in virtual time, and who of it waits, in order."""

    finish: float = 0.0
    held: int = 0
    waiting: deque[Waiter] = field(default_factory=deque)
    waits: int = 0
    """How many of it had to wait, or were turned away, since somebody looked."""
