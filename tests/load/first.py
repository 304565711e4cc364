"""How long first logins take, whose passwords are computed, while the front ends' event loops have no time to spare.

    python -m tests.load.first --logins 100

Owns that measure: accounts that never logged in do so once each, alone, beside polls that keep two front ends and both
cores full, and beside processes that have nothing to do with Poplar and compute without end, two for each core. The
threads that compute passwords stand back behind all of them, and this shows that they go on. Asserts no speed; a login
that is refused ends it.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from tests.load.bench import Bench, Bounds, bench
from tests.load.mail import Kind
from tests.load.works import POLLED, WORKS

SITE = "usual"
CLIENTS = 8
ENDLESS = "while True: pass"


def first_logins(ready: Bench, name: str, logins: int) -> dict[str, Any]:
    """Figures of so many accounts that nobody has seen yet."""
    kind = Kind(name, logins)
    target = ready.target(SITE)
    target.furnish([kind])
    return target.load(kind, mode="poll", clients=CLIENTS, limit=logins, warmup=0.0)


@contextmanager
def computing(processes: int) -> Iterator[None]:
    """So many other processes that compute, each in a session of its own."""
    with ExitStack() as stack:
        for _ in range(processes):
            other = stack.enter_context(subprocess.Popen([sys.executable, "-c", ENDLESS], start_new_session=True))
            stack.callback(other.kill)
        yield


def beside_polls(ready: Bench, logins: int, seconds: float) -> tuple[dict[str, Any], dict[str, Any]]:
    """The figures of first logins, and of the polls that were going on."""
    work = next(work for work in WORKS if work.name == "poll-128")
    with ThreadPoolExecutor(1) as thread:
        target = ready.target(SITE)
        polls = thread.submit(target.load, work.kind, port=work.port, warmup=0.0, seconds=seconds, **work.options)
        return first_logins(ready, "beside", logins), polls.result()


def say(what: str, figures: dict[str, Any]) -> None:
    """One line."""
    passed = figures["pass"]
    took = "".join(f"{cut} {passed[cut]:8.1f} ms   " for cut in ("p50", "p95", "p99"))
    rate = figures["session"]["count"] / figures["seconds"]
    sys.stdout.write(f"{what:44}{took}{rate:6.0f}/s   load {os.getloadavg()[0]:.1f}\n")
    sys.stdout.flush()


def main() -> None:
    parser = argparse.ArgumentParser(description="First logins while others keep the cores full.")
    parser.add_argument("--logins", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=10.0, help="of polls, in which all of the logins should be")
    options = parser.parse_args()
    others = 2 * (os.cpu_count() or 1)
    with tempfile.TemporaryDirectory(prefix="poplar-load-") as name:
        Path(name).chmod(0o755)
        with bench(Path(name) / "site", Bounds(options.seconds), {}) as ready:
            ready.warm(SITE, POLLED)
            say("first logins alone", first_logins(ready, "alone", options.logins))
            first, polls = beside_polls(ready, options.logins, options.seconds)
            say("first logins beside polls of 128 clients", first)
            say("those polls", polls)
            with computing(others):
                say(f"first logins beside {others} that compute", first_logins(ready, "among", options.logins))


if __name__ == "__main__":
    main()
