"""Metrics of outside directories, by the names that the settings give them: few, and never a tenant's (G17).

Owns the outcomes. Refuses to know what a directory is. Durations are seconds.
"""

from service.telemetry import spans
from service.telemetry.labels import closed
from service.telemetry.later import Histogram
from service.telemetry.metrics import QUICK

OUTCOMES = frozenset({"yes", "no", "unavailable", "overloaded", "shut"})
"""`shut` is refused without asking, because the directory was away a moment ago."""

_asked = Histogram(
    "poplar_directory_seconds", "Questions to outside directories, by its name and what came of them",
    ["directory", "outcome"], buckets=QUICK,
)  # fmt: skip


def asked(directory: str, outcome: str, seconds: float) -> None:
    """A question to the directory of this name in the settings came to one of `OUTCOMES`."""
    known = closed(outcome, OUTCOMES)
    _asked.labels(directory, known).observe(seconds)
    spans.past(f"directory {directory}", seconds, "directory", outcome=known)
