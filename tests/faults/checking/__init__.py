"""Decides, from a history alone, whether the guarantees held; a file for each group of them.

Owns the order of judging. Sound rather than complete: what could have come about lawfully, in any order that the
times allow and with any unknown outcome, is no violation. Refuses to know which fault came when, except where a
guarantee itself makes an exception of it (G4 to G6). G1 to G9, G11, G14, G18.
"""

from collections.abc import Iterable, Sequence

from tests.faults.checking import answers, copies, holding, keeping, octets, passwords
from tests.faults.checking.faults import Bounds, Faults
from tests.faults.checking.maildrop import Maildrop, by_maildrop
from tests.faults.checking.violation import Violation
from tests.faults.operations import Operation

__all__ = ["Bounds", "Violation", "judge"]


def judge(history: Sequence[Operation], bounds: Bounds | None = None) -> Sequence[Violation]:
    """What doesn't fit, in the order of the operations that show it first."""
    faults = Faults.of(history, bounds or Bounds())
    found = [violation for drop in by_maildrop(history) for violation in _judged(drop, faults)]
    return sorted(found, key=lambda one: (min(one.operations, default=0), one.guarantee))


def _judged(drop: Maildrop, faults: Faults) -> Iterable[Violation]:
    yield from keeping.violations(drop)
    yield from holding.violations(drop, faults)
    yield from copies.violations(drop)
    yield from octets.violations(drop)
    yield from answers.violations(drop)
    yield from passwords.violations(drop)
