"""When which system was touched by a fault, as the nemesis noted it.

Owns the spans, and the seconds that the guarantees grant. Only the rules about holding a maildrop ask: every other
guarantee holds whatever the faults.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import inf

from tests.faults.operations import Operation

SYSTEMS = ("redis", "postgres", "objects")


@dataclass(frozen=True, slots=True)
class Bounds:
    """Seconds."""

    free: float = 30.0
    """G6: within these a dead front end's maildrops are free."""
    notice: float = 10.0
    """G5: within these a session that lost its maildrop is closed."""
    settling: float = 15.0
    """After a fault, until everything that it touched is as before."""


@dataclass(frozen=True, slots=True)
class Span:
    """One fault; `ended` is infinite where it was never mended."""

    fault: Operation
    began: float
    ended: float
    touches: tuple[str, ...]

    @property
    def harmed(self) -> tuple[str, ...]:
        """What isn't as it should be: of a process and a system with a way between them, the system as it is seen."""
        return tuple(each for each in self.touches if each in SYSTEMS) or self.touches


@dataclass(frozen=True)
class Faults:
    """All of a history."""

    spans: Sequence[Span]
    bounds: Bounds

    @classmethod
    def of(cls, history: Iterable[Operation], bounds: Bounds) -> "Faults":
        """Each fault with its mending, which says the same words."""
        return cls(spans(history), bounds)

    def touching(self, systems: tuple[str, ...], since: float, until: float) -> bool:
        """Whether one of these systems, by how its name begins, was not itself at some instant of that time."""
        return any(
            span.began <= until and span.ended + self.bounds.settling >= since
            for span in self.spans
            if any(each.startswith(systems) for each in span.harmed)
        )


def spans(history: Iterable[Operation]) -> Sequence[Span]:
    """The faults in the order in which they began."""
    begun: dict[str, list[Operation]] = {}
    found: list[Span] = []
    for one in sorted(history, key=lambda each: (each.ended, each.n)):
        what = str(one.facts.get("what", ""))
        if one.kind == "fault":
            begun.setdefault(what, []).append(one)
        elif one.kind == "mended" and begun.get(what):
            fault = begun[what].pop(0)
            found.append(Span(fault, fault.began, one.ended, tuple(fault.facts.get("touches", ()))))
    left = [one for each in begun.values() for one in each]
    found += [Span(one, one.began, inf, tuple(one.facts.get("touches", ()))) for one in left]
    return sorted(found, key=lambda span: span.began)
