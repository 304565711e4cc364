"""Faults of the sweep: it is gone, it can't end, it is too slow.

Owns these drills.
"""

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from tests.backends.demo import Place
from tests.cli.conftest import Command
from tests.deploy.alarms.drill import Drill, Scene, nothing
from tests.deploy.alarms.ground import Ground
from tests.system.front_end import without_poplar

MANY = 200_000
BACKLOG = f"""
INSERT INTO messages (tenant_id, maildrop_id, sequence, octets, header_octets, received, unique_id, removed_at,
                      removed_in, dotted, sha256, blob_key)
SELECT m.tenant_id, m.maildrop_id, 1000000 + g, 100, 10, now() - interval '60 days', gen_random_uuid(),
       now() - interval '30 days', 1, false, sha256('drill'), 'drill/2026/01/01/' || g
FROM (SELECT tenant_id, maildrop_id FROM maildrops LIMIT 1) m, generate_series(1, {MANY}) g
"""  # noqa: S608 - constants alone
AWAY_WITH_IT = "DELETE FROM messages WHERE blob_key LIKE 'drill/%'"


class Sweep:
    """`poplar sweep --loop` as a process, begun and ended, each time with settings of its own."""

    def __init__(self, ground: Ground, **more: dict[str, object]) -> None:
        self._ground = ground
        self._more = more
        self._command: Command | None = None
        self.config = Path()

    def begin(self, **sweep: object) -> Place:
        """Start it; where its metrics are."""
        folder = self._ground.fresh("sweep")
        settings: dict[str, Any] = yaml.safe_load(self._ground.config.read_text("utf-8")) | self._more
        settings |= {"http": {"host": "127.0.0.1", "port": 0}, "sweep": {"interval": 2.0, **sweep}}
        self.config = folder / "poplar.yaml"
        self.config.write_text(yaml.safe_dump(settings), "utf-8")
        self._command = Command(["--config", str(self.config), "sweep", "--loop"], without_poplar(), folder)
        self._command.await_said('"event":"sweeping"')
        lines = [json.loads(line) for line in self._command.said.splitlines() if '"sweeping"' in line]
        url = urlsplit(str(lines[0]["http"]))
        return Place(url.hostname or "127.0.0.1", url.port or 0)

    def end(self) -> None:
        """End it if it runs."""
        if self._command is not None and self._command.process.poll() is None:
            self._command.end()


@contextmanager
def gone(ground: Ground) -> Iterator[Scene]:
    """The sweep's only process ends, and nobody starts it again."""
    with ExitStack() as stack:
        sweep = Sweep(ground)
        stack.callback(sweep.end)
        scene = Scene([sweep.begin()], sweep.config, sweep.end, nothing)

        def again() -> None:
            scene.scraped[:] = [sweep.begin()]

        scene.mend = again
        yield scene


@contextmanager
def fails(ground: Ground) -> Iterator[Scene]:
    """The sweep runs, and its object store never answers."""
    with ExitStack() as stack:
        sweep = Sweep(ground, object_store=ground.object_store())
        stack.callback(sweep.end)
        yield Scene([sweep.begin()], sweep.config, ground.s3.pause, ground.s3.resume)


@contextmanager
def too_slow(ground: Ground) -> Iterator[Scene]:
    """Mail of a large tenant is past its retention at once, and the sweep deletes one message at a time."""
    with ExitStack() as stack:
        sweep = Sweep(ground)
        stack.callback(ground.sql, AWAY_WITH_IT)
        stack.callback(sweep.end)
        scene = Scene([sweep.begin(batch=1)], sweep.config, lambda: ground.sql(BACKLOG), nothing)

        def quicker() -> None:
            sweep.end()
            scene.scraped[:] = [sweep.begin(batch=5000)]

        scene.mend = quicker
        yield scene


DRILLS = {
    "PoplarSweepLate": Drill(
        "the object store never answers (SIGSTOP)",
        "it goes on",
        fails,
        (
            ("poplar_sweep_last_success_timestamp_seconds", r"\} [1-9][0-9]{2}"),
            ("kubectl get pods", ""),
            ("kubectl logs", r'"event":"unavailable"'),
            ("poplar sweep", r"objects: (connection|timeout)"),
            ("poplar doctor", r"FAIL  object store"),
        ),
    ),
    "PoplarSweepLate/gone": Drill(
        "its process ends, and nobody starts it again",
        "it is started",
        gone,
        (
            ("poplar_sweep_last_success_timestamp_seconds", r"^$"),
            ("kubectl get pods", ""),
            ("kubectl logs", r'"event":"swept"'),
            ("poplar sweep", r"0 removed messages are past their retention and left"),
            ("poplar doctor", r"^all .* checks passed"),
        ),
    ),
    "PoplarSweepFallsBehind": Drill(
        f"{MANY} messages are past their retention, and the sweep deletes one at a time (`sweep.batch` 1)",
        "`sweep.batch` is raised",
        too_slow,
        (
            ("poplar_sweep_backlog", r"\} 1[0-9]{5}"),
            ("poplar_sweep_last_success_timestamp_seconds", r"\} [1-9]"),
            ("kubectl logs", r'"event":"swept"'),
            ("poplar doctor", r"^all .* checks passed"),
        ),
    ),
}
