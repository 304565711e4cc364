"""Reads the commands out of a runbook and runs them here, as who is on call would.

Owns how each kind is run: `sh` in a shell with the settings of the process that has the fault, `promql` by the drill's
Prometheus (with its times divided as those of the rules), `sql` as the database's owner. What takes a cluster can't be
run: of `kubectl exec ... -- COMMAND` the command is, for `kubectl logs ... | FILTER` the process's own log is filtered.
"""

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.backends.prometheus import Prometheus, Series
from tests.deploy.alarms.drill import Scene
from tests.deploy.alarms.ground import Ground
from tests.deploy.alarms.scaled import scaled
from tests.deploy.test_alerts import RUNBOOKS

SECONDS = 120
BLOCK = re.compile(r"^```(sh|promql|sql)\n(.*?)\n```$", re.MULTILINE | re.DOTALL)
IN_A_POD = re.compile(r"^kubectl exec .*? -- ")
LOGS = re.compile(r"^kubectl logs [^|]*")
KUBECTL = re.compile(r"`(kubectl [^`]+)`")


@dataclass(frozen=True)
class Command:
    """One command of a runbook, as it stands there."""

    kind: str
    text: str

    @property
    def cluster(self) -> str:
        """The part of it that takes a cluster, and was not run."""
        found = IN_A_POD.match(self.text) or LOGS.match(self.text)
        if found:
            return found[0].strip()
        return self.text if self.text.startswith("kubectl ") else ""


@dataclass(frozen=True)
class Ran:
    """A command, its exit code (None where there was nothing to run), and what it printed."""

    command: Command
    code: int | None
    printed: str


def commands(alert: str) -> list[Command]:
    """Those in the runbook's blocks, in order: each line of `sh`, each whole query."""
    text = _runbook(alert)
    found = []
    for kind, block in BLOCK.findall(text):
        lines = block.splitlines() if kind == "sh" else [block]
        found += [Command(kind, line) for line in lines]
    return found


def in_passing(alert: str) -> list[str]:
    """Commands of kubectl in its sentences, which take a cluster."""
    return KUBECTL.findall(_runbook(alert))


def _runbook(alert: str) -> str:
    return (RUNBOOKS / f"{alert}.md").read_text("utf-8")


def run(command: Command, scene: Scene, ground: Ground, prometheus: Prometheus) -> Ran:
    """Run it as far as it can be run here."""
    if command.kind == "promql":
        return Ran(command, 0, "\n".join(map(_told, prometheus.now(scaled(command.text)))))
    if command.kind == "sql":
        return Ran(command, 0, "\n".join(map(str, ground.sql(_placed(command.text, scene.words)))))
    text = LOGS.sub(f"cat {scene.config.parent / 'log'} ", IN_A_POD.sub("", command.text))
    if text.startswith("kubectl "):
        return Ran(command, None, "")
    placed = _placed(text, scene.words)
    # In a pod Poplar is the process 1; here that is everybody's.
    assert "kill(1," not in placed, placed
    return _shell(command, placed, scene.config)


def _told(series: Series) -> str:
    labels = ", ".join(f'{name}="{value}"' for name, value in sorted(series.labels.items()))
    return f"{{{labels}}} {series.points[-1][1]:g}"


def _placed(text: str, words: Mapping[str, str]) -> str:
    for there, here in words.items():
        text = text.replace(there, here)
    return text


def _shell(command: Command, text: str, config: Path) -> Ran:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("POPLAR_")}
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", text],
        env=environment | {"PATH": path, "POPLAR_CONFIG": str(config), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS,
    )
    return Ran(command, done.returncode, (done.stdout + done.stderr).strip())
