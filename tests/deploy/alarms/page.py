"""Writes what the drills came to into a page: the table of alerts, and the commands of the runbooks one by one.

Owns the form. What stands above the mark is written by people and left alone.
"""

import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.deploy.alarms.drill import Drill
from tests.deploy.alarms.runbook import commands, in_passing
from tests.deploy.alarms.running import Result

MARK = "<!-- What follows is written by `make alarms`. -->\n"


@dataclass(frozen=True)
class Row:
    """One drill's line, as it is kept from run to run, so that a run of some leaves the others'."""

    date: str
    pending: str
    firing: str
    resolved: str
    summary: str
    beside: list[str]
    codes: list[int | None]


def row(result: Result) -> Row:
    """What is kept of a result."""
    return Row(
        time.strftime("%Y-%m-%d %H:%M", time.gmtime(result.injected_at)),
        "-" if result.pending is None else f"{result.pending:.0f}",
        f"{result.firing:.0f}",
        f"{result.resolved:.0f}",
        result.summary,
        list(result.beside),
        [each.code for each in result.ran],
    )


def write(path: Path, drills: Mapping[str, Drill], results: Iterable[Result]) -> None:
    """Bring the page up to date; lines of drills that were not carried out this time stay."""
    above, _, below = path.read_text("utf-8").partition(MARK)
    rows = _kept(below) | {each.name: row(each) for each in results}
    rows = {alert: rows[alert] for alert in drills if alert in rows}
    kept = json.dumps({alert: asdict(each) for alert, each in rows.items()})
    text = [above + MARK, *_table(drills, rows), *_details(drills, rows), f"<!-- {kept} -->", ""]
    path.write_text("\n".join(text), "utf-8")


def _kept(below: str) -> dict[str, Row]:
    for line in below.splitlines():
        if line.startswith("<!-- {"):
            told = json.loads(line.removeprefix("<!-- ").removesuffix(" -->"))
            return {alert: Row(**values) for alert, values in told.items()}
    return {}


def _table(drills: Mapping[str, Drill], rows: Mapping[str, Row]) -> list[str]:
    lines = [
        "| Alert | Fault | Pending, firing after | Mended by | Resolved after | Run (UTC) |",
        "|---|---|---|---|---|---|",
    ]
    for alert, drill in drills.items():
        if alert not in rows:
            lines.append(f"| {alert} | {drill.fault} | not run | {drill.mended} | | |")
            continue
        each = rows[alert]
        times = f"{each.pending}, {each.firing} s"
        lines.append(f"| {alert} | {drill.fault} | {times} | {drill.mended} | {each.resolved} s | {each.date} |")
    return lines


def _details(drills: Mapping[str, Drill], rows: Mapping[str, Row]) -> list[str]:
    lines = []
    for alert in drills:
        if alert not in rows:
            continue
        each = rows[alert]
        lines += ["", f"## {alert}", "", f"It said: {each.summary}"]
        if each.beside:
            lines += ["", f"Also firing: {', '.join(each.beside)}."]
        lines += [""]
        for command, code in zip(commands(alert.partition("/")[0]), each.codes, strict=False):
            outcome = "not run (takes a cluster)" if code is None else f"exit {code}"
            if command.cluster and code is not None:
                outcome += ", without `" + command.cluster + "`, which takes a cluster"
            lines.append(f"- {outcome}: `{' '.join(command.text.split())}`")
        lines += [f"- not run (takes a cluster): `{text}`" for text in in_passing(alert.partition("/")[0])]
    return [*lines, ""]
