"""What a drill is: a fault that is really there, the alert it must raise, and what the runbook's commands must find.

Owns the words. Refuses to know how a drill is carried out.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path

from tests.backends.demo import Place
from tests.deploy.alarms.ground import Ground

Round = Callable[[], object]


def nothing() -> None:
    """Do nothing."""


@dataclass
class Scene:
    """What was set up for one drill, until its block ends."""

    scraped: list[Place]
    """Where Prometheus scrapes; looked at again after the fault and after it was mended."""
    config: Path
    """The settings with which the runbook's commands run: those of the process that has the fault."""
    inject: Round
    mend: Round
    rounds: Sequence[Round] = ()
    """What clients do all the while, each again and again in a thread of its own."""
    words: dict[str, str] = field(default_factory=dict)
    """What stands in a runbook for something of this place, such as an address, and what it is here."""


@dataclass(frozen=True)
class Drill:
    """One alert's. `findings`: for each command of its runbook, in order, a part of it and what it must print."""

    fault: str
    mended: str
    stage: Callable[[Ground], AbstractContextManager[Scene]]
    findings: Sequence[tuple[str, str]]
    window: str = ""
    """Of an alert with several windows, the one that is waited for."""
    every: float = 0.2
    """Seconds between two rounds."""
