"""`python -m tests.faults.report history.jsonl report.html`: a campaign as a page for people.

Exits with 0 if the guarantees held, 1 if they didn't, 2 if there is no history to tell of.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.faults.checking import judge
from tests.faults.operations import read
from tests.faults.reporting.page import page


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the page and say where it is; the exit status."""
    parser = argparse.ArgumentParser(prog="report", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("history", type=Path)
    parser.add_argument("page", type=Path)
    parser.add_argument("--title", default="Poplar under faults")
    given = parser.parse_args(arguments)
    try:
        with given.history.open(encoding="utf-8") as file:
            history = read(file)
    except (OSError, ValueError) as error:
        sys.stderr.write(f"{given.history}: {error}\n")
        return 2
    if not history:
        sys.stderr.write(f"{given.history}: an empty history\n")
        return 2
    violations = judge(history)
    given.page.write_text(page(given.title, history, violations), "utf-8")
    sys.stdout.write(f"{given.page}: {len(violations)} violations\n")
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main())
