"""Puts load on Poplar, and on what shall stand beside it, and prints what came of it.

    python -m tests.load                                  all works, five runs of three seconds
    python -m tests.load --dovecot poll-16 drain          two works, Debian's Dovecot beside, in turn
    python -m tests.load --other Cyrus:127.0.0.1:110      the same load on another server; see `--help`

Owns the command line and the files. Asserts no speed; whatever a server gets wrong ends it with an error.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tests.load.bench import Bench, Bounds, bench
from tests.load.dovecot_site import absent
from tests.load.idle import idle_kib
from tests.load.program import LoadError
from tests.load.table import lines, summary
from tests.load.target import Target
from tests.load.works import IDLE, WORKS, Work

IDLE_WORKS = {"idle": "pop3", "idle-tls": "pop3s"}
MANY = 5_000
FEW = 500
"""Sessions of a server that has a process for each."""
UNUSUAL = frozenset({"endless"})
"""Works that are done only when asked for by name."""


def main() -> None:
    options = _options()
    if options.dovecot and (why := absent()):
        sys.exit(why)
    bounds = Bounds(options.seconds, options.runs, min(0.5, options.seconds / 4))
    with tempfile.TemporaryDirectory(prefix="poplar-load-") as name:
        # Where root runs this, servers become other users and must reach their files.
        Path(name).chmod(0o755)
        with bench(Path(name) / "site", bounds, dict(map(_other, options.other))) as ready:
            _measured(ready, options, {"machine": _machine(), "bounds": asdict(bounds), "works": {}})
    _say(f"written to {options.json}")


def _measured(ready: Bench, options: argparse.Namespace, told: dict[str, Any]) -> None:
    """Do one work after another, and write down each as it is done."""
    if options.dovecot:
        ready.begin_dovecot()
    if options.floor:
        ready.begin_floor()
    known = {work.name: work for work in WORKS}
    for name in options.works or [*(name for name in known if name not in UNUSUAL), *IDLE_WORKS]:
        try:
            work = known.get(name)
            told["works"][name] = _compared(ready, work) if work else _idle(ready, name, options.sessions)
        except LoadError as error:
            _say(f"{name}: {error}")
            told["works"][name] = {"error": str(error)}
        _write(options.json, told)


def _compared(ready: Bench, work: Work) -> dict[str, Any]:
    summaries = {server: summary(work, runs) for server, runs in ready.compared(work).items()}
    _say(*lines(work, summaries))
    return {server: asdict(each) for server, each in summaries.items()}


def _idle(ready: Bench, name: str, sessions: int) -> dict[str, Any]:
    told = {}
    for server in filter(ready.is_there, (name, "Dovecot")):
        ready.warm(server, IDLE)
        target = ready.target(server)
        count = min(sessions, FEW) if server == "Dovecot" else sessions
        told[server] = idle_kib(target, IDLE, count, IDLE_WORKS[name])
        parts = ", ".join(f"{part} {kib}" for part, kib in told[server]["kib"].items())
        _say(f"{name}: {server}, {count} sessions: KiB each: {parts}")
    return told


def _other(text: str) -> tuple[str, Target]:
    """NAME:HOST:PORT of a server that has the maildrops already, with their password; nothing is known of its parts."""
    name, host, port = text.split(":")
    return name, Target(name, {"pop3": int(port)}, {}, host=host, proxy=False)


def _machine() -> dict[str, Any]:
    return {
        "cores": os.cpu_count(),
        "load": os.getloadavg(),
        "when": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
    }


def _write(path: Path, told: Mapping[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(told, indent=1) + "\n", "utf-8")


def _say(*told: str) -> None:
    sys.stdout.write("\n".join(told) + "\n")
    sys.stdout.flush()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Load on Poplar, and on what stands beside it.")
    parser.add_argument("works", nargs="*", help=f"which: {', '.join([*(work.name for work in WORKS), *IDLE_WORKS])}")
    parser.add_argument("--seconds", type=float, default=3.0, help="measured time of a run")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--sessions", type=int, default=MANY, help="sessions that are idle at once")
    parser.add_argument("--dovecot", action="store_true", help="Debian's Dovecot beside Poplar")
    parser.add_argument("--floor", action="store_true", help="the smallest server in Python beside, see floor.py")
    parser.add_argument("--other", action="append", default=[], metavar="NAME:HOST:PORT", help="another server beside")
    parser.add_argument("--json", type=Path, default=Path(".tools/load/figures.json"))
    return parser.parse_args()


if __name__ == "__main__":
    main()
