"""How long good clients wait, in quiet and under siege, in one run: the percentiles of both and their ratio.

Owns the program that stands beside the siege, and the arithmetic. The program says each session's beginning and seconds
as JSON, by the machine's monotonic clock, when its input ends; so that any span of the run can be looked at afterwards.
Refuses to know what a good client does, and what the siege is.
"""

import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from statistics import quantiles

PATIENCE = 120.0


@dataclass(frozen=True)
class Waits:
    """Sessions of some span of time: how many, and percentiles in milliseconds."""

    count: int
    p50: float
    p95: float
    p99: float
    most: float

    @classmethod
    def of(cls, seconds: Sequence[float]) -> "Waits":
        each = [1000 * one for one in seconds] or [0.0]
        cuts = quantiles(each, n=100) if len(each) > 1 else each * 99
        return cls(len(seconds), cuts[49], min(cuts[94], max(each)), min(cuts[98], max(each)), max(each))


Span = tuple[float, float]
"""Beginning and end by time.monotonic."""


@dataclass
class Beside:
    """The program that does one good session after the other: each one's beginning and seconds once it was left."""

    process: "subprocess.Popen[str]"
    sessions: list[tuple[float, float]] = field(default_factory=list)
    unexpected: dict[str, int] = field(default_factory=dict)
    """Responses that no good client may get, by their first words."""
    steps: dict[str, list[float]] = field(default_factory=dict)
    """Seconds of each step of the sessions, where the program tells them."""

    def within(self, *spans: Span) -> Waits:
        """What those sessions waited that began within one of the spans."""
        return Waits.of([took for at, took in self.sessions if any(begin <= at < end for begin, end in spans)])


@contextmanager
def beside(*arguments: str) -> Iterator[Beside]:
    """`python -m ARGUMENTS` from its first line, by which it says that it has begun, until the block ends.

    Its last line is `{"sessions": [[began, seconds], ...], "unexpected": {words: times}}`, and perhaps "steps" beside:
    `{step: [seconds, ...]}`.
    """
    command = [sys.executable, "-m", *arguments]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    good = Beside(process)
    try:
        assert process.stdout is not None
        assert process.stdout.readline(), "the good clients did not begin"
        yield good
    finally:
        told = process.communicate(timeout=PATIENCE)[0].splitlines()
        if told:
            said = json.loads(told[-1])
            good.sessions = [(at, took) for at, took in said["sessions"]]
            good.unexpected, good.steps = said["unexpected"], said.get("steps", {})


@contextmanager
def span(into: list[Span]) -> Iterator[None]:
    """Note when the block began and ended."""
    began = time.monotonic()
    try:
        yield
    finally:
        into.append((began, time.monotonic()))


def quieter(*visits: Waits) -> Waits:
    """The visit in quiet that is the harder base; none may have anybody's first login in it."""
    return min(visits, key=lambda waits: waits.p99)


def ratio(siege: Waits, quiet: Waits) -> float:
    """How many times as long the 99th percentile is under siege."""
    return siege.p99 / quiet.p99 if quiet.p99 else 0.0
