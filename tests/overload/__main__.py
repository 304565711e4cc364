"""`make overload`: every siege in full, one front end each; prints a table and writes .tools/overload/figures.json.

    python -m tests.overload --seconds 10 idle unread

Judges what good clients wait under siege by what they wait in quiet in the same run: by whichever is less of a visit
before and one after, without anybody's first login, whose password is computed. A siege is done twice: what only the
second one leaves behind as well is a leak. Exits with 1 if anything is not as it should be.
"""

import argparse
import json
import os
import resource
import sys
import tempfile
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from tests.overload.besieging import Besieged, Visit, besiege, troubles, visit
from tests.overload.sieges import WHOLE, WHOLE_CROWD, Siege
from tests.overload.site import Site, site
from tests.overload.waits import Waits, quieter, ratio

FIGURES = Path(".tools/overload/figures.json")
TIMES = 3.0
"""By how much a good client's 99th percentile may grow."""
ONCE = 64.0
LEAK = 16.0
"""MiB that a second siege may leave behind beyond the first: the heap's pieces lie otherwise each time."""
HEAD = f"{'siege':28}{'clients':>8}{'peak MiB':>10}{'KiB each':>10}{'unsent':>8}{'after':>8}{'again':>8}"
HEAD += f"{'p95 quiet':>11}{'siege':>8}{'p99 quiet':>11}{'siege':>8}{'ratio':>7}"


def run(place: Site, siege: Siege, seconds: float) -> dict[str, Any]:
    """One siege's figures and what was wrong."""
    siege = replace(siege, options={**siege.options, "apart": True})
    with place.front_end(siege.name.replace(", ", "-"), siege.settings) as front:
        # Each good account's first login computes its password, which is what no later visit pays.
        visit(front, seconds)
        before = visit(front, seconds)
        first = besiege(place, front, siege, seconds)
        between = visit(front, seconds)
        second = besiege(place, front, siege, 0.0)
        wrong = [*_wrong(siege, first, second), *troubles(front)]
    quiet = quieter(before.waits, between.waits)
    times = ratio(first.good.waits, quiet)
    if times > TIMES or not first.good.waits.count:
        wrong.append(f"good clients waited {times:.1f} times as long")
    _say(siege, first, second, quiet)
    return {
        **_figures(siege, first, second, [before, between]),
        "ratio": times,
        "load": os.getloadavg(),
        "wrong": wrong,
    }


def _wrong(siege: Siege, first: Besieged, second: Besieged) -> list[str]:
    wrong = []
    if first.risen > ONCE + siege.each * siege.clients / 1024:
        wrong.append(f"{first.each:.0f} KiB for each client")
    if second.after.memory - first.after.memory > LEAK:
        wrong.append(f"{second.after.memory - first.after.memory:.0f} MiB stayed after a second siege")
    wrong += [f"a good client heard {words}" for words in {**first.good.unexpected, **second.good.unexpected}]
    return wrong


def _figures(siege: Siege, first: Besieged, second: Besieged, quiet: list[Visit]) -> dict[str, Any]:
    return {
        "siege": asdict(siege),
        "level": asdict(first.level),
        "during": asdict(first.during),
        "after": asdict(first.after),
        "again": asdict(second.after),
        "peak": first.level.memory + first.risen,
        "kib_each": first.each,
        "unsent": first.unsent,
        "quiet": [asdict(each.waits) for each in quiet],
        "under": asdict(first.good.waits),
        "steps": {
            step: {
                "quiet": [asdict(visit.steps[step]) for visit in quiet if step in visit.steps],
                "under": asdict(took),
            }
            for step, took in first.good.steps.items()
        },
        "heard": first.heard,
    }


def _say(siege: Siege, first: Besieged, second: Besieged, quiet: Waits) -> None:
    memory = f"{first.level.memory + first.risen:10.0f}{first.each:10.1f}{first.unsent:8.1f}"
    after = f"{first.after.memory - first.level.memory:+8.0f}{second.after.memory - first.level.memory:+8.0f}"
    good = first.good.waits
    waits = f"{quiet.p95:11.1f}{good.p95:8.1f}{quiet.p99:11.1f}{good.p99:8.1f}{ratio(good, quiet):7.2f} of {good.count}"
    sys.stdout.write(f"{siege.name:28}{siege.clients:8}{memory}{after}{waits}   load {os.getloadavg()[0]:.1f}\n")
    sys.stdout.flush()


def main() -> None:
    parser = argparse.ArgumentParser(description="Hostile clients at a front end.")
    parser.add_argument("sieges", nargs="*", default=[siege.name for siege in WHOLE])
    parser.add_argument("--seconds", type=float, default=10.0, help="of good clients, each time")
    parser.add_argument("--json", type=Path, default=FIGURES)
    options = parser.parse_args()
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    sys.stdout.write(f"{os.cpu_count()} cores, {most} descriptors\n{HEAD}\n")
    told = json.loads(options.json.read_text()) if options.json.exists() else {}
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        with site(Path(folder), WHOLE_CROWD) as place:
            for siege in (each for each in WHOLE if each.name in options.sieges):
                told[siege.name] = run(place, siege, options.seconds)
                for line in told[siege.name]["wrong"]:
                    sys.stdout.write(f"    {line}\n")
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(told, indent=2) + "\n")
    sys.exit(any(told[name]["wrong"] for name in options.sieges))


if __name__ == "__main__":
    main()
