"""`python -m tests.faults.campaign --minutes 20 --seed 7`: a fault campaign; ends with 1 if anything doesn't fit."""

import argparse
import asyncio
import shutil
import sys
from pathlib import Path

from tests.faults import checker, report
from tests.faults.campaign.campaign import HISTORY, run
from tests.faults.campaign.crowd import Size
from tests.faults.campaign.recovery import Recovery
from tests.faults.operations import read


def main() -> int:
    """Run a campaign and say what came of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folder", type=Path, default=Path(".faults"))
    told = parser.parse_args()
    folder = told.folder.absolute() / f"seed-{told.seed}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    asyncio.run(run(folder, told.seed, told.minutes, Size()))
    history = folder / HISTORY
    with history.open(encoding="utf-8") as file:
        page = Recovery(read(file)).page()
    (folder / "recovery.md").write_text(page, "utf-8")
    sys.stdout.write(page)
    report.main([str(history), str(folder / "report.html"), "--title", f"Seed {told.seed}, {told.minutes:g} minutes"])
    return checker.main([str(history)])


if __name__ == "__main__":
    sys.exit(main())
