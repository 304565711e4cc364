"""`python -m tests.overload.million_run --messages 1000000`: every step with a maildrop of so many, and what it took.

Owns the command line. Refuses to judge figures; anything that isn't as it should be ends it with an error.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

from tests.backends.demo import demo_on
from tests.overload.million import Run, coming_back, reading, removing
from tests.overload.million_after import crowding, staffing, sweeping
from tests.overload.million_rows import fill
from tests.overload.waits import Beside, Span, Waits, beside, quieter, ratio, span
from tests.system.clients.letters import PLAIN
from tests.system.clients.maildrop import Maildrop
from tests.system.front_end import TERMINATED, front_end


def main() -> None:
    """Fill a maildrop, do everything with it, and print a line for each step."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=1_000_000)
    parser.add_argument("--imported", action="store_true", help="with unique-ids of another server")
    parser.add_argument("--maildrops", type=int, default=0, help="read by a client of each at once, then swept")
    parser.add_argument(
        "--good", type=float, default=0.0, help="whole sessions beside; seconds of quiet ones before, after"
    )
    told = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="poplar-million-") as name, demo_on(Path(name)) as demo:
        account, other = demo.new_account(), demo.new_account()
        fill(demo, account, told.messages, imported=told.imported)
        with front_end(demo, Path(name) / "front", (TERMINATED,)) as front:
            run = Run(demo, front, account, told.messages, other, told=_say)

            def work() -> None:
                if told.maildrops:
                    several(run, told.maildrops, Path(name) / "api")
                else:
                    reading(run)
                    coming_back(run, lambda: Maildrop(demo, account).deliver([PLAIN]))
                    removing(run)

            if told.good:
                _beside_sessions(run, told.good, work)
            else:
                with run.watched():
                    work()
                _say("\nthe same, with what NOOP waited beside:")
                sys.stdout.writelines(f"{step}\n" for step in run.steps)


def _beside_sessions(run: Run, seconds: float, work: Callable[[], object]) -> None:
    """Have another tenant's reader have whole sessions beside the work, and in quiet before and after it."""
    rest = partial(time.sleep, seconds)
    before, during, after = (_waits(run, each) for each in (rest, work, rest))
    quiet = quieter(before, after)
    cuts = ((name, getattr(quiet, name), getattr(during, name)) for name in ("p50", "p95", "p99"))
    told = ", ".join(f"{name} {least:.1f} -> {most:.1f}" for name, least, most in cuts)
    _say(f"{during.count} good sessions beside: {told} ms, {ratio(during, quiet):.2f} times")


def _waits(run: Run, work: Callable[[], object]) -> Waits:
    """What sessions waited that began while the work was done."""
    spans = list[Span]()
    with _good_reader(run) as reader, span(spans):
        work()
    return reader.within(*spans)


def _good_reader(run: Run) -> AbstractContextManager[Beside]:
    account = next(each for each in run.demo.accounts if each.tenant != run.account.tenant)
    where = run.place.host, str(run.place.port)
    return beside("tests.overload.lmtp_good", *where, account.address, account.password)


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def several(run: Run, maildrops: int, folder: Path) -> None:
    """So many such maildrops at once; then one of them as staff and the sweep see it."""
    accounts = [run.account, *(run.demo.new_account() for _ in range(maildrops - 1))]
    for account in accounts[1:]:
        fill(run.demo, account, run.messages)
    crowding(run, accounts)
    staffing(run, folder)
    sys.stdout.write(f"the sweep came to {sweeping(run):.0f} MiB\n")


if __name__ == "__main__":
    main()
