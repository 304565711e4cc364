"""How many instructions a front end executes for a poll, in user space, which no other work on the machine changes.

    python -m tests.load.instructions --polls 400
    python -m tests.load.instructions --polls 400 --deliveries     the same of LMTP, for a delivery
    python -m tests.load.instructions --polls 400 --hellos         of a TLS handshake with a greeting and QUIT

Owns that count. Needs valgrind, whose callgrind runs a process some fifty times slower. What the kernel does is not
in it: a poll makes some forty calls of the kernel, which `strace -c` counts.
"""

import argparse
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from types import MappingProxyType

from service.settings.fairness import FairnessSettings
from tests.load.mail import Kind
from tests.load.poplar_site import Backends, backends, poplar
from tests.load.target import Target
from tests.load.warming import each_once

SLOWER = 50
COUNTED = Kind("counted", 32, 10)
_TOTAL = re.compile(r"^(?:summary|totals): (\d+)", re.MULTILINE)


LOADS: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "poll": {"mode": "poll"},
        "delivery": {"port": "lmtp", "mode": "deliver"},
        "hello": {"port": "pop3s", "mode": "hello"},
    }
)


def instructions(what: str, polls: int, clients: int) -> float:
    """For each of these, one of `LOADS`, the mean."""
    part, command = ("lmtp", "lmtp") if what == "delivery" else ("front", "serve")
    with tempfile.TemporaryDirectory(prefix="poplar-load-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        out = folder / "callgrind"
        under = ("valgrind", "--tool=callgrind", "--instr-atstart=no", f"--callgrind-out-file={out}")
        with backends(folder / "site") as behind, _under(behind, under, command) as front:
            front.furnish([COUNTED])
            each_once(front, COUNTED)
            each_once(front, COUNTED)
            if what == "hello":
                # What only the first ones do isn't theirs.
                front.load(COUNTED, clients=clients, limit=4 * clients, **LOADS[what])
            _tell(front.components[part], "--instr=on")
            front.load(COUNTED, clients=clients, limit=polls, **LOADS[what])
            _tell(front.components[part], "--dump")
        told = out.with_suffix(".1").read_text("latin-1")
        return int(_TOTAL.findall(told)[0]) / polls


def _under(behind: Backends, under: Sequence[str], command: str) -> AbstractContextManager[Target]:
    return poplar(behind, _patient(behind), under=under, profiled=command)


def _patient(behind: Backends) -> dict[str, dict[str, object]]:
    """Where all takes fifty times as long, who is heard late isn't away, and no step is long that would be short."""
    steps = SLOWER * FairnessSettings().steps
    return {
        "redis": {"url": behind.redis, "deadline": 60.0},
        "database": {"url": behind.dsn, "deadline": 60.0},
        "fairness": {"steps": steps},
        # Its code would have no names.
        "process": {"large_pages": False},
    }


def _tell(pid: int, word: str) -> None:
    subprocess.run(["callgrind_control", word, str(pid)], check=True, capture_output=True)


def main() -> None:
    parser = argparse.ArgumentParser(description="Instructions of a front end for each poll.")
    parser.add_argument("--polls", type=int, default=400)
    parser.add_argument("--clients", type=int, default=16)
    other = parser.add_mutually_exclusive_group()
    other.add_argument("--deliveries", dest="what", action="store_const", const="delivery", help="of LMTP, of 9 KB")
    other.add_argument("--hellos", dest="what", action="store_const", const="hello", help="of TLS handshakes")
    options = parser.parse_args()
    each = instructions(options.what or "poll", options.polls, options.clients)
    sys.stdout.write(f"{each / 1e6:.2f} million instructions for each of {options.polls}\n")


if __name__ == "__main__":
    main()
