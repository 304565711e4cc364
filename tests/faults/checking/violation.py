"""One thing that doesn't fit, with the operations that show it."""

from collections.abc import Iterable
from dataclasses import dataclass

from tests.faults.operations import Operation


@dataclass(frozen=True, slots=True)
class Violation:
    """`guarantee` is G1 to G18, or "history" where the history itself can't be judged."""

    guarantee: str
    operations: tuple[int, ...]
    words: str
    maildrop: str | None = None

    def __str__(self) -> str:
        numbers = ", ".join(f"#{n}" for n in self.operations)
        return f"{self.guarantee} {self.maildrop or ''}: {self.words} ({numbers})"


def shown_by(guarantee: str, words: str, *operations: Operation | None) -> Violation:
    """A violation by the operations that show it, in their order."""
    given = sorted({one.n: one for one in operations if one is not None}.values(), key=lambda one: one.n)
    return Violation(guarantee, tuple(one.n for one in given), words, _maildrop(given))


def _maildrop(operations: Iterable[Operation]) -> str | None:
    return next((one.maildrop for one in operations if one.maildrop), None)
