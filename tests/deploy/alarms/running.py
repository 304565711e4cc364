"""Carries a drill out: all is well, the fault, the alert, the runbook's commands, the mending, and silence again.

Owns the order and the clock. Fails where the alert is there before the fault, never comes, or never goes, and where a
command of the runbook doesn't find what it should.
"""

import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from tests.backends.prometheus import Prometheus, prometheus
from tests.deploy.alarms.drill import Drill, Round, Scene
from tests.deploy.alarms.ground import Ground
from tests.deploy.alarms.runbook import Command, Ran, commands, run
from tests.deploy.alarms.scaled import scaled

PATIENCE = 300.0
CALM = 3.0
"""Seconds for which everybody comes and goes before the fault."""
LOOK = 0.25


class DrillError(AssertionError):
    """A drill that did not go as it should."""


@dataclass(frozen=True)
class Result:
    """What happened, in seconds after the fault, and after it was mended."""

    name: str
    injected_at: float
    """Unix seconds."""
    pending: float | None
    """None where it fired without having been seen pending."""
    firing: float
    summary: str
    beside: Sequence[str]
    """Other alerts that fired for the same fault."""
    ran: Sequence[Ran]
    resolved: float


class Watch:
    """What Prometheus says of one alert, or of one window of it."""

    def __init__(self, alert: str, window: str, watching: Prometheus) -> None:
        self._alert = alert
        self._window = window
        self._watching = watching

    def states(self) -> set[str]:
        """Its states, one or several where it has several instances; none while it is silent."""
        return {str(each["state"]) for each in self._mine()}

    def summary(self) -> str:
        """What it tells whoever is on call."""
        first = next(each for each in self._mine() if each["state"] == "firing")
        return f"{first['annotations']['summary']}. {first['annotations']['description']}"

    def others(self) -> list[str]:
        """The other alerts that fire, and other windows of this one."""
        firing = [each for each in self._watching.alerts() if each["state"] == "firing" and not self._is_it(each)]
        return sorted({" ".join(_named(each)) for each in firing})

    def _is_it(self, alert: Mapping[str, Any]) -> bool:
        return _named(alert) == ((self._alert, self._window) if self._window else (self._alert,))

    def _mine(self) -> list[Mapping[str, Any]]:
        return [each for each in self._watching.alerts() if self._is_it(each)]


def _named(alert: Mapping[str, Any]) -> tuple[str, ...]:
    labels = alert["labels"]
    return (labels["alertname"], *([labels["window"]] if "window" in labels else []))


def carry_out(name: str, drill: Drill, ground: Ground, say: Callable[[str], object]) -> Result:
    """The whole of it: `name` is the alert's, and perhaps a word for the fault after a slash. Raises DrillError."""
    alert = name.partition("/")[0]
    expected = paired(alert, drill)
    with (
        drill.stage(ground) as scene,
        prometheus(ground.fresh("prometheus") / "it", scene.scraped, rewrite=scaled) as watching,
        going_on(scene.rounds, drill.every),
    ):
        watch = Watch(alert, drill.window, watching)
        _await(lambda: all_scraped(watching, scene), "the first scrapes")
        time.sleep(CALM)
        if watch.states():
            raise DrillError(f"{alert} is there before the fault: {watch.states()}")
        injected_at = time.time()
        with harmed(scene, watching) as mend:
            say(f"injected: {drill.fault}")
            pending, firing = _fired(watch, injected_at)
            summary = watch.summary()
            say(f"firing after {firing:.0f} s: {summary}")
            ran = [_found(run(command, scene, ground, watching), wanted, say) for command, wanted in expected]
            beside = watch.others()
            say(f"mending: {drill.mended}")
            resolved = _mended(mend, watch, say)
        return Result(name, injected_at, pending, firing, summary, beside, ran, resolved)


@contextmanager
def harmed(scene: Scene, watching: Prometheus) -> Iterator[Round]:
    """The fault is there until what this gives is called, or the block ends."""
    mended = False

    def mend() -> None:
        nonlocal mended
        mended = True
        scene.mend()
        watching.scrape(scene.scraped)

    scene.inject()
    watching.scrape(scene.scraped)
    try:
        yield mend
    finally:
        if not mended:
            mend()


def _mended(mend: Round, watch: Watch, say: Callable[[str], object]) -> float:
    began = time.time()
    mend()
    _await(lambda: "firing" not in watch.states(), "the alert to be resolved")
    resolved = time.time() - began
    say(f"resolved after {resolved:.0f} s")
    return resolved


def paired(alert: str, drill: Drill) -> list[tuple[Command, str]]:
    """Each command of the runbook and what it must find. Raises DrillError where the two have come apart."""
    there, told = commands(alert), list(drill.findings)
    if len(there) != len(told) or not all(part in each.text for each, (part, _) in zip(there, told, strict=True)):
        raise DrillError(f"{alert}: the runbook has {[each.text for each in there]}, the drill {told}")
    return [(each, wanted) for each, (_, wanted) in zip(there, told, strict=True)]


def all_scraped(watching: Prometheus, scene: Scene) -> bool:
    """Whether every process was scraped at least twice."""
    return len(watching.now("count_over_time(up[1m]) > 1 and up == 1")) == len(scene.scraped)


def _fired(watch: Watch, since: float) -> tuple[float | None, float]:
    pending = None

    def fires() -> bool:
        nonlocal pending
        states = watch.states()
        if pending is None and "pending" in states:
            pending = time.time() - since
        return "firing" in states

    _await(fires, "the alert to fire")
    return pending, time.time() - since


def _found(ran: Ran, wanted: str, say: Callable[[str], object]) -> Ran:
    say(f"{'not run' if ran.code is None else f'exit {ran.code}'}: {ran.command.text}")
    say("  " + ran.printed.replace("\n", "\n  "))
    if ran.code is not None and not re.search(wanted, ran.printed, re.MULTILINE):
        raise DrillError(f"{ran.command.text}\ndid not find {wanted!r}:\n{ran.printed}")
    return ran


def _await(found: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + PATIENCE
    while not found():
        if time.monotonic() > end:
            raise DrillError(f"waited in vain for {what}")
        time.sleep(LOOK)


@contextmanager
def going_on(rounds: Sequence[Round], every: float) -> Iterator[None]:
    """Each round again and again in a thread. That one of them is refused or cut is what faults do."""
    stop = threading.Event()

    def keep_on(doing: Round) -> None:
        while not stop.is_set():
            with suppress(OSError, AssertionError):
                doing()
            stop.wait(every)

    if not rounds:
        yield
        return
    with ThreadPoolExecutor(len(rounds)) as threads:
        going = [threads.submit(keep_on, doing) for doing in rounds]
        try:
            yield
        finally:
            stop.set()
    for each in going:
        each.result()
