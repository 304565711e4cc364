"""How many byte codes a front end executes for a poll, and in which functions.

    python -m tests.load.codes --polls 200 --functions 40

Owns that count, which neither another machine nor other work on it changes, but for how many sessions come together:
two runs differ by 1 %. Some three quarters of a poll's time are CPython's, and it goes with this number. What happens
below Python's functions is not in it: `tests.load.instructions` counts that.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path

from tests.load import codes_counted
from tests.load.instructions import COUNTED, _under
from tests.load.poplar_site import backends
from tests.load.warming import each_once

PATIENCE = 30.0
Row = tuple[str, int, str, int, int]


def codes(polls: int, clients: int) -> list[Row]:
    """File, line and name of each function, its byte codes and calls; the most first."""
    with tempfile.TemporaryDirectory(prefix="poplar-load-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        out = folder / "codes"
        under = (sys.executable, codes_counted.__file__, str(out))
        with backends(folder / "site") as behind, _under(behind, under, "serve") as front:
            front.furnish([COUNTED])
            each_once(front, COUNTED)
            each_once(front, COUNTED)
            os.kill(front.components["front"], codes_counted.TOLD)
            front.load(COUNTED, mode="poll", clients=clients, limit=polls)
            os.kill(front.components["front"], codes_counted.TOLD)
            _await(out)
        return [(path, line, function, n, calls) for path, line, function, n, calls in json.loads(out.read_text())]


def _await(out: Path) -> None:
    end = time.monotonic() + PATIENCE
    while not out.exists():
        if time.monotonic() > end:
            raise AssertionError("nothing was counted")
        time.sleep(0.05)


def _said(row: Row, polls: int) -> str:
    path, line, function, number, calls = row
    place = "/".join(Path(path).parts[-3:])
    return f"{number / polls:8.1f} {calls / polls:7.2f}  {place}:{line} {function}"


def main() -> None:
    """Print it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--polls", type=int, default=200)
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--functions", type=int, default=40, help="how many to name")
    options = parser.parse_args()
    rows = codes(options.polls, options.clients)
    total, calls = sum(row[3] for row in rows), sum(row[4] for row in rows)
    each, called = total / options.polls, calls / options.polls
    told = [f"{each:,.0f} byte codes and {called:,.0f} calls for each of {options.polls}"]
    told += [_said(row, options.polls) for row in rows[: options.functions]]
    sys.stdout.write("\n".join(told) + "\n")


if __name__ == "__main__":
    main()
