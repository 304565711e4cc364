"""Which classes of callers bring mostly wrong passwords of late: what is computed for them leaves a core to others.

Owns the judgement, class by class: whether a name exists never shows in it, as unknown names are of their neighbours'
class (G13). A class is none of them for a few users whose password is out of date; a flood makes it one after some
dozens of guesses, and some right passwords make it none again. Refuses to know what is done about it.
"""

from collections import OrderedDict

from service.mail.turns import Whose

WEIGHT = 1 / 16
"""What one password counts for, against all before it."""
DOUBTED = 0.75
"""The part of wrong ones from which on a class is doubted: more than half are, where a login tries two passwords."""
FORGOTTEN = 0.05
"""The part below which nothing is kept."""
CLASSES = 4096
"""Classes that are known at a time, at some 200 octets each."""


class Doubts:
    """The part of wrong passwords among those of each class, the latest ones first."""

    def __init__(self, most: int = CLASSES) -> None:
        self._most = most
        self._wrong: OrderedDict[Whose, float] = OrderedDict()

    def __contains__(self, whose: Whose) -> bool:
        """Whether the class is doubted."""
        return self._wrong.get(whose, 0.0) > DOUBTED

    def __len__(self) -> int:
        """How many classes are known."""
        return len(self._wrong)

    def heard(self, whose: Whose, *, right: bool) -> None:
        """A password of this class was computed."""
        before = self._wrong.pop(whose, 0.0)
        part = before + WEIGHT * ((0.0 if right else 1.0) - before)
        if part < FORGOTTEN:
            return
        self._wrong[whose] = part
        if len(self._wrong) > self._most:
            self._wrong.popitem(last=False)
