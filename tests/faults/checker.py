"""`python -m tests.faults.checker history.jsonl`: whether the guarantees held, from the history alone.

Exits with 0 if they did, 1 if they didn't, 2 if there is no history to judge.
"""

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from tests.faults.checking import Bounds, Violation, judge
from tests.faults.operations import Operation, read


def main(arguments: Sequence[str] | None = None) -> int:
    """Judge a file; the exit status."""
    given = _parser().parse_args(arguments)
    try:
        with given.history.open(encoding="utf-8") as file:
            history = read(file)
    except (OSError, ValueError) as error:
        sys.stderr.write(f"{given.history}: {error}\n")
        return 2
    if not history:
        sys.stderr.write(f"{given.history}: an empty history\n")
        return 2
    return say(history, judge(history, Bounds(free=given.free, notice=given.notice)))


def say(history: Sequence[Operation], violations: Sequence[Violation]) -> int:
    """Print each violation with the operations that show it; the exit status."""
    by_number = {one.n: one for one in history}
    for violation in violations:
        lines = [str(violation), *(f"    {told(by_number[n])}" for n in violation.operations)]
        sys.stdout.write("\n".join(lines) + "\n")
    counted = Counter(one.outcome for one in history)
    counts = ", ".join(f"{count} {outcome}" for outcome, count in sorted(counted.items()))
    sys.stdout.write(f"{len(history)} operations ({counts}), {len(violations)} violations\n")
    return 1 if violations else 0


def told(one: Operation) -> str:
    """An operation in one line, for people."""
    facts = {name: value for name, value in one.facts.items() if not isinstance(value, dict)}
    whose = f"{one.client} {one.session or ''}".strip()
    return f"#{one.n} {one.began:.3f}-{one.ended:.3f} {whose} {one.kind} {one.outcome} {one.said!r} {facts}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="checker", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("history", type=Path)
    parser.add_argument("--free", type=float, default=Bounds().free, help="seconds to a dead front end's lease (G6)")
    parser.add_argument("--notice", type=float, default=Bounds().notice, help="seconds to a lost session's end (G5)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
