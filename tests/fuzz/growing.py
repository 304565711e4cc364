"""Makes the corpus grow: `python -m tests.fuzz.growing [--seconds N] [--seed N] [READER ...]`, part of `make fuzz`.

Inputs are changed at random, and one that leads a reader along a way through `service/` that none led before is kept,
as short as it can be. An input that takes a reader apart is written down beside them, and the run fails. Owns which way
is new and what is worth keeping; refuses to know a reader. Needs nothing but Python's own tracing.
"""

import argparse
import hashlib
import random
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

CORPUS = Path(__file__).resolve().parent / "corpus"
SERVICE = f"{Path(__file__).resolve().parents[2] / 'service'}/"
MOST_OCTETS = 2048
"""Of one input."""
MOST_INPUTS = 60
"""Of one reader: all of them together stay small enough for the tree."""

Way = tuple[CodeType, int, int]
"""From one line of a function to another."""
Survives = Callable[[bytes], None]


def ways(survives: Survives, octets: bytes, below: str = SERVICE) -> frozenset[Way]:
    """The ways that reading `octets` takes through the files below a folder. Raises what the reader raises."""
    found: set[Way] = set()

    def enter(frame: FrameType, _event: str, _argument: Any) -> Any:
        if not frame.f_code.co_filename.startswith(below):
            return None
        last = 0

        def step(here: FrameType, event: str, _argument: Any) -> Any:
            nonlocal last
            if event == "line":
                found.add((here.f_code, last, here.f_lineno))
                last = here.f_lineno
            return step

        return step

    before = sys.gettrace()
    sys.settrace(enter)
    try:
        survives(octets)
    finally:
        sys.settrace(before)
    return frozenset(found)


@dataclass
class Corpus:
    """One reader's inputs, the first ones and those that were found."""

    survives: Survives
    words: list[bytes]
    chance: random.Random
    below: str = SERVICE
    inputs: list[bytes] = field(default_factory=list)
    known: set[Way] = field(default_factory=set)

    def learn(self, octets: bytes) -> bool:
        """Keep an input if it leads along a new way. Raises what the reader raises."""
        new = ways(self.survives, octets, self.below) - self.known
        if not new:
            return False
        shortest = self._shortened(octets, new)
        self.inputs.append(shortest)
        self.known |= ways(self.survives, shortest, self.below)
        return True

    def invented(self) -> bytes:
        """A new input out of those there are."""
        octets = bytearray(self.chance.choice(self.inputs))
        for _ in range(self.chance.choice((1, 1, 2, 4))):
            self._change(octets)
        return bytes(octets[:MOST_OCTETS])

    def _change(self, octets: bytearray) -> None:
        at = self.chance.randint(0, len(octets))
        to = min(len(octets), at + self.chance.choice((1, 1, 2, 4, 16, 64)))
        other = self.chance.choice(self.inputs)
        begin = self.chance.randint(0, len(other))
        octets[at:to] = self.chance.choice(
            (
                b"",
                self.chance.randbytes(1),
                bytes(octets[at:to]) * 2,
                bytes(octet ^ 1 << self.chance.randrange(8) for octet in octets[at:to]),
                other[begin : begin + self.chance.choice((1, 4, 16, 64))],
                self.chance.choice(self.words or [b"\0"]),
                self.chance.choice(self.words or [b"\0"]) + bytes(octets[at:to]),
            )
        )

    def _shortened(self, octets: bytes, wanted: frozenset[Way]) -> bytes:
        """`octets` with all left out that the new ways don't need."""
        step = max(1, len(octets) // 2)
        while step:
            for start in range(0, len(octets), step):
                shorter = octets[:start] + octets[start + step :]
                if len(shorter) < len(octets) and wanted <= self._quietly(shorter):
                    octets = shorter
                    break
            else:
                step //= 2
        return octets

    def _quietly(self, octets: bytes) -> frozenset[Way]:
        """The ways, none where the reader comes apart: that is found by itself."""
        try:
            return ways(self.survives, octets, self.below)
        except Exception:
            return frozenset()


def kept(folder: Path) -> Iterator[Path]:
    """The inputs in the tree."""
    yield from sorted(folder.iterdir()) if folder.is_dir() else ()


def name_of(octets: bytes) -> str:
    return hashlib.sha256(octets).hexdigest()[:12]


def grown(corpus: Corpus, first: Iterable[bytes], seconds: float, most: int) -> bytes | None:
    """Learn and invent until the time is over; an input that takes the reader apart, if one does."""
    end, octets = time.monotonic() + seconds, b""
    try:
        for octets in first:
            corpus.learn(octets)
        while corpus.inputs and time.monotonic() < end and len(corpus.inputs) < most:
            octets = corpus.invented()
            corpus.learn(octets)
    except Exception as error:
        print(f"  {type(error).__name__}: {error}"[:300])  # noqa: T201 - a tool's output
        return octets
    return None


def grow(name: str, seconds: float, seed: int) -> bool:
    """Grow one reader's corpus in the tree; whether the reader held."""
    from tests.fuzz.readers import READERS

    reader, folder = READERS[name], CORPUS / name
    files = list(kept(folder))
    corpus = Corpus(reader.survives, list(reader.words), random.Random(f"{seed} {name}"))
    first = [*reader.seeds, *(file.read_bytes() for file in files)]
    bad = grown(corpus, first, seconds, MOST_INPUTS)
    folder.mkdir(parents=True, exist_ok=True)
    for octets in corpus.inputs if bad is None else [*corpus.inputs, bad]:
        if octets not in reader.seeds:
            (folder / name_of(octets)).write_bytes(octets)
    print(f"{name}: {len(corpus.inputs)} inputs, {len(corpus.known)} ways" + (", and a defect" if bad else ""))  # noqa: T201
    return bad is None


def main() -> None:
    from tests.fuzz.readers import READERS

    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--seconds", type=float, default=20.0, help="for each reader")
    asked.add_argument("--seed", type=int, default=0)
    asked.add_argument("readers", nargs="*", default=list(READERS), help="all by default")
    told = asked.parse_args()
    held = [grow(name, told.seconds, told.seed) for name in told.readers or READERS]
    sys.exit(0 if all(held) else 1)


if __name__ == "__main__":
    main()
