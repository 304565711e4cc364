"""A small Poplar with everything that an SRE's dashboards are about: load, a fault or two, a drain, a sweep.

Owns the processes: the demo; a front end that has lost its Redis, has little room for passwords and asks an outside
directory; one that is drained; a sweep. Refuses to know what is measured.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from tests.backends.demo import Place, RunningDemo, demo_on
from tests.backends.prometheus import Prometheus, prometheus
from tests.cli.conftest import Command
from tests.system.front_end import TERMINATED, FrontEnd, front_end

PASSWORD = "correct horse"
VERIFIER = (
    "{SHA512-CRYPT}$6$saltsalt$hRM5XZ86KXEw9UOmjigeVqFgULtFB2sgpC9lXQDfMib3Zgw7mEiUvBJI2EplzfAqxL5Vvwp2scFtv/uamSo5z0"
)
"""Of PASSWORD, as the outside directory keeps it."""
EVERYBODY = f"SELECT '{VERIFIER}' AS verifier WHERE $1 NOT LIKE 'nobody%'"
AWAY = "redis://127.0.0.1:1/0"


@dataclass(frozen=True)
class Site:
    """What runs, and the Prometheus that scrapes it."""

    demo: RunningDemo
    worn: FrontEnd
    leaving: FrontEnd
    prometheus: Prometheus


@contextmanager
def site(folder: Path, every: str = "1s") -> Iterator[Site]:
    """The whole of it."""
    with (
        demo_on(folder / "demo") as demo,
        _worn(demo, folder) as worn,
        front_end(demo, folder / "leaving", (TERMINATED,), drain={"announce": 300.0, "grace": 300.0}) as leaving,
        _sweep(demo, folder / "sweep") as sweep,
        prometheus(folder / "prometheus", [_ops(demo), worn.ops, leaving.ops, sweep], every) as watching,
    ):
        yield Site(demo, worn, leaving, watching)


@contextmanager
def _worn(demo: RunningDemo, folder: Path) -> Iterator[FrontEnd]:
    outside = {"name": "crm", "url": demo.ready["postgres"], "query": EVERYBODY}
    strict = {"pair_delay_from": 2, "pair_refuse_from": 4, "longest_delay": 0.1}
    with front_end(
        demo,
        folder / "worn",
        (TERMINATED,),
        redis={"url": AWAY, "deadline": 0.5},
        hashing={"threads": 1, "queue": 2},
        directory={"default": "crm", "outside": [outside]},
        abuse=strict,
    ) as running:
        yield running


@contextmanager
def _sweep(demo: RunningDemo, folder: Path) -> Iterator[Place]:
    folder.mkdir()
    settings: dict[str, Any] = yaml.safe_load((demo.state / "state" / "poplar.yaml").read_text("utf-8"))
    settings["http"] = {"host": "127.0.0.1", "port": 0}
    settings["sweep"] = {"removed_retention_days": 0.05, "interval": 2.0}
    path = folder / "poplar.yaml"
    path.write_text(yaml.safe_dump(settings), "utf-8")
    command = Command(["--config", str(path), "sweep", "--loop"], {}, folder)
    try:
        command.await_said('"event":"sweeping"')
        yield _place(next(word for word in command.said.split('"') if word.startswith("http://")))
    finally:
        command.end()


def _ops(demo: RunningDemo) -> Place:
    return _place(demo.ready["http"])


def _place(url: str) -> Place:
    parts = urlsplit(url)
    return Place(parts.hostname or "127.0.0.1", parts.port or 0)
