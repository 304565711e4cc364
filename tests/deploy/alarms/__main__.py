"""Fires alerts by real faults and walks their runbooks: python -m tests.deploy.alarms [Alert ...]

Owns the run and what is printed. Without names all drills are carried out. `scaled.py` says how time is made short.
"""

import argparse
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.deploy.alarms.ground import ground
from tests.deploy.alarms.page import write
from tests.deploy.alarms.running import carry_out
from tests.deploy.alarms.table import DRILLS

PAGE = Path(__file__).parents[3] / "deploy" / "decisions" / "alarms.md"


def main() -> None:
    """Carry them out one after another; exits with 1 if one failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("alerts", nargs="*", choices=[[], *DRILLS], metavar="Alert")
    parser.add_argument("--page", type=Path, default=PAGE)
    told = parser.parse_args()
    results, failed = [], []
    with TemporaryDirectory(prefix="poplar-alarms-") as folder, ground(Path(folder)) as place:
        for alert in told.alerts or DRILLS:
            say(f"{time.strftime('%H:%M:%S', time.gmtime())} {alert}")
            try:
                results.append(carry_out(alert, DRILLS[alert], place, _say))
            except (AssertionError, OSError) as error:
                failed.append(alert)
                _say(f"FAILED: {type(error).__name__}: {error}")
    write(told.page, DRILLS, results)
    say("\n  not: ".join([f"{len(results)} of {len(results) + len(failed)} went as they should", *failed]))
    sys.exit(1 if failed else 0)


def say(text: str) -> None:
    """A line at once, for who looks on."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _say(text: str) -> None:
    say("  " + text.replace("\n", "\n    "))


if __name__ == "__main__":
    main()
