"""`make senders`: LMTP under each kind of hostile senders in full, good senders and readers beside them; one line each.

    python -m tests.overload.lmtp_run --seconds 8 one_header header_lines

Judges what good ones wait by what they wait in quiet, before or after, whichever is less. With `--below /dev/shm` the
disk is left out of it. Exits with 1 where a good sender waited too long.
"""

import argparse
import os
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from tests.backends.demo import demo_on
from tests.overload.lmtp import LONG, Row, Scenario, ground, measured
from tests.overload.waits import ratio

TIMES = 3.0
"""By how much a good one's 99th percentile may grow."""


def patient(row: Row) -> bool:
    """Whether no good one waited too long, nor heard what it should not."""
    return not row.unexpected and all(ratio(siege, quiet) <= TIMES for quiet, siege in row.good.values())


def main() -> None:
    parser = argparse.ArgumentParser(description="Hostile senders at an LMTP server.")
    parser.add_argument("kinds", nargs="*", default=[each.kind for each in LONG])
    parser.add_argument("--seconds", type=float, default=8.0, help="of quiet, before and after")
    parser.add_argument("--below", help="where Postgres and blobs are kept, as in memory: /dev/shm")
    options = parser.parse_args()
    rows = [_row(each, options) for each in LONG if each.kind in options.kinds]
    sys.exit(not all(map(patient, rows)))


def _row(scenario: Scenario, options: argparse.Namespace) -> Row:
    """One scenario on a site of its own: what earlier ones left in memory makes memory dear for a later one."""
    with tempfile.TemporaryDirectory(dir=options.below) as made:
        folder = Path(made)
        # Where root runs this, Postgres is another user.
        folder.chmod(0o755)
        with demo_on(folder / "demo") as demo, ground(demo, folder / "own") as on:
            row = measured(on, replace(scenario, apart=True), options.seconds)
    sys.stdout.write(f"{row}   load {os.getloadavg()[0]:.1f}\n")
    for name, steps in row.steps.items():
        took = (f"{step} {waits.p50:.0f}, {waits.p99:.0f}" for step, waits in steps.items())
        sys.stdout.write(f"    {name}: {'; '.join(took)}\n")
    sys.stdout.flush()
    return row


if __name__ == "__main__":
    main()
