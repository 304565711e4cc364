"""How many Argon2id verifications this machine computes while it does nothing else, beside what Poplar's logins reach.

    python -m tests.load.ceiling --seconds 1.5 --runs 3

Owns that comparison: the same library and cost, as many threads as cores, in turn with logins of which none is
remembered, so that whatever else the machine does falls on both. Asserts no speed.
"""

import argparse
import os
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path

from service.stores.passwords.argon2 import Cost, matches, new_verifier
from tests.load.bench import Bench, Bounds, bench
from tests.load.works import WORKS


def verifications(seconds: float, threads: int) -> tuple[float, float]:
    """Verifications a second of so many threads that do nothing else, and microseconds of processor time for one."""
    verifier, secret = new_verifier(b"correct horse", Cost()).encode(), b"correct horse"
    done, end = [0] * threads, time.monotonic() + seconds

    def verify(number: int) -> None:
        while time.monotonic() < end:
            matches(verifier, secret)
            done[number] += 1

    running = [threading.Thread(target=verify, args=(number,)) for number in range(threads)]
    began, used = time.monotonic(), time.process_time()
    for each in running:
        each.start()
    for each in running:
        each.join()
    return sum(done) / (time.monotonic() - began), 1e6 * (time.process_time() - used) / sum(done)


def logins(ready: Bench, seconds: float) -> tuple[float, float]:
    """Logins a second whose passwords are all computed, and microseconds of processor time for one, without them."""
    work = next(work for work in WORKS if work.name == "uncached")
    ready.warm(work.site, work.kind)
    figures = ready.target(work.site).load(work.kind, port=work.port, warmup=0.5, seconds=seconds, **work.options)
    count = figures["session"]["count"]
    return count / figures["seconds"], 1e6 * sum(figures["cpu"].values()) / count


def main() -> None:
    parser = argparse.ArgumentParser(description="Argon2id alone, and in logins.")
    parser.add_argument("--seconds", type=float, default=1.5)
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    threads = os.cpu_count() or 1
    with tempfile.TemporaryDirectory(prefix="poplar-load-") as name:
        Path(name).chmod(0o755)
        with bench(Path(name) / "site", Bounds(options.seconds, options.runs), {}) as ready:
            both = [
                (*logins(ready, options.seconds), *verifications(options.seconds, threads)) for _ in range(options.runs)
            ]
    reached, spent, most, alone = (statistics.median(column) for column in zip(*both, strict=True))
    sys.stdout.write(
        f"{most:.0f} verifications/s of {threads} threads that do nothing else, {alone:.0f} us of processor time each\n"
        f"{reached:.0f} logins/s, {reached / most:.0%} of that; {spent:.0f} us each, all components\n"
    )


if __name__ == "__main__":
    main()
