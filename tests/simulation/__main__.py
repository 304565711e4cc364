"""Runs the schedules of many seeds and tells what was wrong: `python -m tests.simulation --seeds 100000 --seed 1`.

Owns the campaign and what it prints: for each failure its seed and the command that runs it again, at the end figures.
"""

import argparse
import sys
import time
from collections import Counter
from itertools import islice

from tests.simulation.closed import small
from tests.simulation.schedule import Result, run

EVERY = 60.0
"""Seconds between two lines that tell how far it is."""


def replay(seed: int) -> str:
    """The command that runs this schedule again, and shows its history."""
    return f"make simulate SEED={seed} SEEDS=1"


def told(result: Result) -> str:
    """What was wrong with a schedule, for people."""
    return "\n".join([f"seed {result.seed}:", *(f"  {one}" for one in result.wrong), f"  again: {replay(result.seed)}"])


def main() -> int:
    """The number of schedules with which something was wrong, 1 at most."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=10_000, help="how many schedules")
    parser.add_argument("--seed", type=int, default=0, help="the first one's seed")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="when to stop before that")
    arguments = parser.parse_args()
    campaign = Campaign(arguments.minutes * 60.0)
    with small():
        for seed in range(arguments.seed, arguments.seed + arguments.seeds):
            campaign.add(run(seed))
            if campaign.over:
                break
    if arguments.seeds == 1:
        campaign.show()
    campaign.sum_up()
    return int(bool(campaign.failed))


class Campaign:
    """What came of the schedules so far."""

    def __init__(self, seconds: float) -> None:
        self._began = self._said = time.monotonic()
        self._processor = time.process_time()
        self._until = self._began + seconds
        self._faults: Counter[str] = Counter()
        self._awaits = self._steps = self._schedules = self._hit = 0
        self._last: Result | None = None
        self.failed: list[int] = []

    @property
    def over(self) -> bool:
        """Whether its time is."""
        return time.monotonic() >= self._until

    def add(self, result: Result) -> None:
        """One more schedule came to its end."""
        self._schedules += 1
        self._awaits += result.awaits
        self._hit += result.hit
        self._steps += result.steps
        self._faults += result.faults
        self._last = result
        if result.wrong:
            self.failed.append(result.seed)
            self._say(told(result))
        if time.monotonic() - self._said > EVERY:
            self._said = time.monotonic()
            self._say(f"{self._schedules} schedules, {len(self.failed)} with something wrong")

    def show(self) -> None:
        """The history of the only schedule."""
        for one in self._last.history if self._last else ():
            whose = f"{one.session or one.client} {one.maildrop or ''}"
            self._say(
                f"#{one.n} {one.began:.3f} {one.ended:.3f} {whose} {one.kind} {one.outcome} {one.said} {one.facts}"
            )

    def sum_up(self) -> None:
        """The figures."""
        seconds, processor = time.monotonic() - self._began, time.process_time() - self._processor
        a_minute = 60.0 * self._schedules / max(seconds, 0.001)
        self._say(
            f"{self._schedules} schedules in {seconds:.0f} s ({processor:.0f} s of a core), {a_minute:.0f} a minute; "
            f"{self._steps} steps, {self._awaits} awaits of ports, {self._hit} of them with a fault"
        )
        self._say("faults: " + ", ".join(f"{name} {count}" for name, count in self._faults.most_common()))
        self._say(f"wrong: {len(self.failed)} {list(islice(self.failed, 20))}")

    def _say(self, line: str) -> None:
        sys.stdout.write(line + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
