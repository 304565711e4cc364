"""The commands of one connection that came in a row, without a text.

Owns when they are so many that they keep the event loop as busy as a long text does. What comes slowly never is: a
connection that is kept open, or one that asks for addresses all day, isn't what the loop is kept from. Refuses to know
the commands, and what is done about them.
"""

import time
from collections.abc import Callable

MOST = 500
"""Commands in a row that are no long train: what nearly all messages have for recipients."""
FORGIVEN = 100
"""Commands a second that don't count."""


class Train:
    """Counts one connection's commands, by their replies."""

    __slots__ = ("_at", "_clock", "_count", "_had_text")

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._count = 0.0
        self._at = clock()
        self._had_text = False

    @property
    def is_long(self) -> bool:
        """Whether there were too many for the time that they took."""
        return self._count > MOST and self._left() > MOST

    def answered(self, replies: int) -> None:
        """So many commands were answered; those right after a text are its recipients', and begin another train."""
        if self._had_text:
            self._had_text, self._count = False, 0.0
        else:
            self._count = self._left() + replies
        self._at = self._clock()

    def text_came(self) -> None:
        """A text came to its end, whatever became of it; its replies are still to be said."""
        self._had_text = True

    def _left(self) -> float:
        return max(0.0, self._count - FORGIVEN * (self._clock() - self._at))
