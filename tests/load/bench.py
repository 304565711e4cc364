"""The servers of one run, and each piece of work done by them in turn.

Owns which sites of Poplar there are, that what is compared alternates, so that whatever else the machine does falls on
all of them, and that caches are warm before anything counts. Refuses to know the list of works and what a table looks
like.
"""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.load import floor_site
from tests.load.dovecot_site import dovecot
from tests.load.mail import Kind
from tests.load.poplar_site import Backends, backends, poplar
from tests.load.program import LoadError
from tests.load.remote_store import near_store
from tests.load.target import Target
from tests.load.warming import each_once, warm
from tests.load.works import Work

SITES: Mapping[str, Mapping[str, Any]] = {
    # As it is run on two cores: Dovecot, too, has a process for each connection there.
    "usual": {"workers": 2},
    "one": {},
    "uncached": {"settings": {"hashing": {"remember_seconds": 0.0}}},
    "uncached 7MiB": {"settings": {"hashing": {"remember_seconds": 0.0, "argon2": "7MiB"}}},
    # What a process once held it keeps: memory is measured in one that did nothing else.
    "idle": {},
    "idle-tls": {},
}
FAR_MILLISECONDS = 20


@dataclass(frozen=True)
class Bounds:
    """How long and how often."""

    seconds: float = 3.0
    runs: int = 5
    warmup: float = 0.5


@dataclass
class Bench:
    """Servers, started when first asked for and ended with the block."""

    behind: Backends
    stack: ExitStack
    bounds: Bounds
    others: Mapping[str, Target]
    _started: dict[str, Target] = field(default_factory=dict)
    _warm: set[tuple[str, str]] = field(default_factory=set)

    def target(self, name: str) -> Target:
        """A site of Poplar's by its name, Dovecot, or one that was given by host and port."""
        if name in self.others:
            return self.others[name]
        if name not in self._started:
            self._started[name] = self.stack.enter_context(self._start(name))
        return self._started[name]

    def compared(self, work: Work) -> dict[str, list[dict[str, Any]]]:
        """The figures of all runs, by the server's name, Poplar first."""
        names = [work.site, *filter(None, [work.beside]), *(name for name in self.others if work.beside == "Dovecot")]
        if "Floor" in self._started and floor_site.does(work):
            names.append("Floor")
        figures: dict[str, list[dict[str, Any]]] = {name: [] for name in names if self.is_there(name)}
        for name in figures:
            self.warm(name, work.kind)
        for _ in range(self.bounds.runs):
            for name, runs in figures.items():
                runs.append(self._run(self.target(name), work))
        if work.restored:
            for name in figures:
                # Other works read the same maildrops.
                self.target(name).restore(work.kind)
        return figures

    def is_there(self, name: str) -> bool:
        """Whether there is such a server in this run."""
        return name != "Dovecot" or "Dovecot" in self._started

    def begin_dovecot(self) -> None:
        """Have Dovecot beside Poplar from now on."""
        self._started["Dovecot"] = self.stack.enter_context(dovecot(self.behind))

    def begin_floor(self) -> None:
        """Have the smallest server beside Poplar from now on, in the works that it can do."""
        self._started["Floor"] = self.stack.enter_context(floor_site.floor(self.behind))

    def warm(self, name: str, kind: Kind) -> None:
        """Let every user of `kind` log in, so that passwords are remembered and indexes are made."""
        target = self.target(name)
        if (name, kind.name) not in self._warm:
            target.furnish([kind])
            warm(target, kind, floor_site.PROCESSES if name == "Floor" else SITES.get(name, {}).get("workers", 1))
            self._warm.add((name, kind.name))

    def _run(self, target: Target, work: Work) -> dict[str, Any]:
        if work.restored:
            target.restore(work.kind)
            each_once(target, work.kind)
        options = {"warmup": self.bounds.warmup, "seconds": self.bounds.seconds, **work.options}
        if work.once:
            options["limit"] = work.kind.maildrops
        figures = target.load(work.kind, port=work.port, **options)
        if not figures[work.counted]["count"]:
            raise LoadError(f"{target.name} did nothing of what is counted: {work.counted}")
        return figures

    def _start(self, name: str) -> Any:
        if name.startswith("s3"):
            return near_store(self.behind, FAR_MILLISECONDS if name == "s3 far" else 0)
        return poplar(self.behind, **SITES[name])


@contextmanager
def bench(folder: Path, bounds: Bounds, others: Mapping[str, Target]) -> Iterator[Bench]:
    """A bench over fresh backends below `folder`."""
    with backends(folder) as behind, ExitStack() as stack:
        yield Bench(behind, stack, bounds, others)
