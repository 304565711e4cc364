"""Which operations were served, and for how long none was.

Owns the four kinds that a user notices, and the worst stretch without one. A refusal that is no fault ([IN-USE] and the
like) is service; a fault told as such, or no answer, isn't. Refuses to judge.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from tests.faults.checking.faults import Span
from tests.faults.checking.holding import LOST
from tests.faults.operations import Operation

KINDS: Mapping[str, tuple[str, ...]] = {
    "login": ("login",),
    "retrieve": ("retr", "top"),
    "quit": ("quit",),
    "deliver": ("deliver",),
}
FAULT = ("-ERR [SYS/", "451", "421", "4.3")


@dataclass(frozen=True, slots=True)
class Gap:
    """A stretch without service, in seconds of the history; operations were tried in it, and not served."""

    began: float
    ended: float
    tried: int

    @property
    def seconds(self) -> float:
        return self.ended - self.began


def served(one: Operation) -> bool:
    """Whether it was answered, and not with a fault."""
    return one.outcome == "ok" or (one.outcome == "fail" and (not one.said.startswith(FAULT) or LOST in one.said))


def of_kind(history: Iterable[Operation], kind: str) -> Sequence[Operation]:
    """Those of one of `KINDS` whose client waited for an answer, in the order in which they ended."""
    waited = (one for one in history if one.kind in KINDS[kind] and one.facts.get("waited", True))
    return sorted(waited, key=lambda one: one.ended)


def is_injected(span: Span) -> bool:
    """Whether the nemesis did it, rather than heard of it in a log."""
    return "as the logs say" not in str(span.fault.facts.get("what", ""))


def gaps(operations: Sequence[Operation]) -> Sequence[Gap]:
    """The stretches between two that were served in which others weren't."""
    good = [one.ended for one in operations if served(one)]
    bad = [one for one in operations if not served(one)]
    found = []
    for before, after in pairwise(good):
        tried = sum(1 for one in bad if before < one.ended <= after)
        if tried:
            found.append(Gap(before, after, tried))
    return found


def worst(found: Iterable[Gap], span: Span, until: float) -> Gap | None:
    """The longest that began or was under way between a fault's beginning and `until`."""
    touched = [gap for gap in found if gap.ended >= span.began and gap.began <= until]
    return max(touched, key=lambda gap: gap.seconds, default=None)
