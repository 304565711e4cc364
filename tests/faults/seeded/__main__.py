"""`python -m tests.faults.seeded [NAME [HISTORY]]`: run one defect, say what the checker found, keep the history.

Without a name it lists the defects. Exits with 0 where the defect was found.
"""

import argparse
import asyncio
import json
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory

import structlog

from service.stores.postgres.migrate import migrate
from tests.backends.postgres import postgres
from tests.backends.valkey import valkey
from tests.faults.seeded import scenarios
from tests.faults.seeded.backends import on_servers
from tests.faults.seeded.defect import run
from tests.faults.seeded.every import DEFECTS, Defect
from tests.faults.seeded.stage import MakeStores, in_memory


def main() -> int:
    """List the defects, or run one; the exit status."""
    parser = argparse.ArgumentParser(prog="seeded", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("name", nargs="?")
    parser.add_argument("history", nargs="?", type=Path)
    given = parser.parse_args()
    if given.name is None:
        for each in DEFECTS.values():
            sys.stdout.write(f"{each.name:45} {' '.join(sorted(each.guarantees)):12} {each.words}\n")
        return 0
    if given.name not in DEFECTS:
        parser.error(f"no defect is called {given.name}")
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    return _told(DEFECTS[given.name], given.history)


def _told(defect: Defect, path: Path | None) -> int:
    with _stores(defect) as stores:
        tls = defect.scenario is scenarios.somebody_stands_in_the_middle
        history, violations = asyncio.run(run(defect.scenario, defect, stores, tls=tls))
    if path is not None:
        path.write_text("".join(json.dumps(asdict(one)) + "\n" for one in history), "utf-8")
    sys.stdout.write("".join(f"{each}\n" for each in violations))
    return 0 if defect.guarantees & {one.guarantee for one in violations} else 1


@contextmanager
def _stores(defect: Defect) -> Iterator[MakeStores]:
    if not defect.real:
        yield in_memory
        return
    with TemporaryDirectory() as folder, postgres(Path(folder)) as server, valkey(Path(folder)) as url:
        asyncio.run(migrate(server.dsn()))
        yield on_servers(server.dsn(), url)


if __name__ == "__main__":
    sys.exit(main())
