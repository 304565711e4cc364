"""The figures as a table for people and as JSON.

Owns medians, ratios and what a processor second was spent on. Refuses to know how anything was measured.
"""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.load.works import Work

Runs = Sequence[Mapping[str, Any]]


def figure(work: Work, run: Mapping[str, Any]) -> float:
    """What one run achieved, in the work's unit."""
    if work.unit == "ms":
        return float(run[work.counted]["p50"])
    if work.unit == "MB/s":
        return float(run["octets"]) / float(run["seconds"]) / 1e6
    return float(run[work.counted]["count"]) / float(run["seconds"])


@dataclass(frozen=True)
class Summary:
    """All runs of one work on one server."""

    median: float
    least: float
    most: float
    cpu: Mapping[str, float]
    """Microseconds of processor time by component for one of what is counted; for MB/s, for one MB."""
    pass_p99: float
    times: Mapping[str, Mapping[str, float]]
    """Milliseconds: p50, p95 and p99 of each kind of time, medians of the runs."""
    client_share: float
    """The part of all processor time that the load client itself took."""

    @property
    def cpu_total(self) -> float:
        return sum(self.cpu.values())


def summary(work: Work, runs: Runs) -> Summary:
    """Medians, with the least and the most."""
    figures = [figure(work, run) for run in runs]
    each = [_cpu(work, run) for run in runs]
    cpu = {name: statistics.median(one[name] for one in each) for name in each[0]}
    own = sum(run["own_cpu"] for run in runs)
    served = sum(sum(run["cpu"].values()) for run in runs)
    times = {name: _times(name, runs) for name in ("session", "pass", "first_octet", "retrieval", "delivery")}
    share = own / (own + served) if own + served else 0.0
    return Summary(statistics.median(figures), min(figures), max(figures), cpu, times["pass"]["p99"], times, share)


def _times(name: str, runs: Runs) -> dict[str, float]:
    return {part: statistics.median(run[name][part] for run in runs) for part in ("p50", "p95", "p99")}


def _cpu(work: Work, run: Mapping[str, Any]) -> dict[str, float]:
    done = run["octets"] / 1e6 if work.unit == "MB/s" else run[work.counted]["count"]
    return {name: seconds * 1e6 / max(done, 1) for name, seconds in run["cpu"].items()}


def lines(work: Work, summaries: Mapping[str, Summary]) -> list[str]:
    """The lines of the table for one work: each server, what stands beside it, and the ratio."""
    told = [f"{work.what}{f' (goal: {work.goal})' if work.goal else ''}"]
    for name, each in summaries.items():
        parts = "  ".join(f"{component} {value:.0f}" for component, value in each.cpu.items() if value >= 0.5)
        told.append(
            f"  {name:10} {each.median:10,.4g} {work.unit:13} [{each.least:,.4g} - {each.most:,.4g}]  "
            f"{each.cpu_total:7.0f} us CPU ({parts})  PASS p99 {each.pass_p99:.1f} ms  {_first(each)}"
            f"client {each.client_share:.0%}"
        )
    if len(summaries) > 1:
        first, *rest = summaries.items()
        told += [f"  {first[0]} / {name}: {_ratios(first[1], each)}" for name, each in rest]
    return told


def _first(each: Summary) -> str:
    """How long the first octet of a message took, where messages were read: those but each session's first."""
    times = each.times["first_octet"]
    return f"first octet p50 {times['p50']:.2f} p95 {times['p95']:.1f} ms  " if times["p50"] else ""


def _ratios(one: Summary, other: Summary) -> str:
    parts = {"figure": (one.median, other.median), "CPU": (one.cpu_total, other.cpu_total)}
    if other.pass_p99:
        parts["PASS p99"] = (one.pass_p99, other.pass_p99)
    return ", ".join(f"{name} {a / b:.2f}" for name, (a, b) in parts.items() if b)
