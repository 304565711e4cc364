"""The committed dashboards as a test reads them: their panels, and each expression as Prometheus gets it.

Owns what Grafana puts in the place of its variables. Refuses to know how they are made.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TOP = Path(__file__).parents[2]
FOLDER = TOP / "helm" / "poplar" / "files" / "dashboards"
NAMES = sorted(path.stem for path in FOLDER.glob("*.json"))


@dataclass(frozen=True)
class Asked:
    """One query of a panel."""

    dashboard: str
    panel: str
    expression: str
    legend: str
    instant: bool

    def filled_in(self, window: str = "10s", span: str = "60s") -> str:
        """The expression for all processes, with this window for rates and this time range."""
        text = self.expression.replace("$__rate_interval", window).replace("$__range", span)
        return text.replace("$instance", ".*")


def dashboard(name: str) -> dict[str, Any]:
    """A dashboard's JSON."""
    return dict(json.loads((FOLDER / f"{name}.json").read_text("utf-8")))


def panels(name: str) -> list[dict[str, Any]]:
    """Its panels, without rows."""
    return [panel for panel in dashboard(name)["panels"] if panel["type"] != "row"]


def asked_by(name: str, panel: dict[str, Any]) -> Iterator[Asked]:
    """The queries of a panel."""
    for target in panel.get("targets", ()):
        yield Asked(
            name, panel["title"], target["expr"], target.get("legendFormat", ""), bool(target.get("instant", False))
        )


def all_asked() -> list[Asked]:
    """Every query of every dashboard."""
    return [asked for name in NAMES for panel in panels(name) for asked in asked_by(name, panel)]
