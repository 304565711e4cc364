"""Draws the dashboards as they look after some minutes of a real run: python -m tests.deploy.pictures

Owns the run and the pages. Grafana itself isn't asked: the panels are drawn from the committed JSON in its likeness,
and every number comes from a Prometheus that scraped the run. Half of the way through, one tenant floods a front end
with wrong passwords for a while.
"""

import argparse
import time
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from tests.backends.prometheus import Prometheus, Series
from tests.deploy.dashboards import NAMES, TOP, Asked, asked_by, dashboard
from tests.deploy.drawn_panels import BOARD, INK, KINDS, PAPER, Drawn, Told
from tests.deploy.drawn_units import legend
from tests.deploy.load import under_load
from tests.deploy.site import site

FOLDER = TOP / "deploy" / "grafana" / "pictures"
UNIT = (0.66, 0.36)
"""Inches that a unit of the dashboards' grid is wide and high."""
STEP = 5.0
WINDOW = "20s"
EDGE = {"timeseries": (0.1, 0.25, 0.97, 0.87), "bargauge": (0.04, 0.04, 0.96, 0.86)}
"""Left, bottom, right and top of what is drawn within a panel."""


class Page:
    """One dashboard's picture."""

    def __init__(self, name: str, prometheus: Prometheus, start: float, end: float) -> None:
        self._board = dashboard(name)
        self._name, self._prometheus = name, prometheus
        self._moments = list(np.arange(start, end, STEP))
        self._height = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in self._board["panels"]) + 1.2
        self.figure = Figure(figsize=(24 * UNIT[0], self._height * UNIT[1]), facecolor=BOARD)

    def draw(self) -> None:
        """All panels."""
        across, down = 0.2 / 24, 1 - 0.65 / self._height
        self.figure.text(across, down, self._board["title"], color=INK, fontsize=13, weight="bold", va="center")
        for panel in self._board["panels"]:
            if panel["type"] == "row":
                top = 1 - (panel["gridPos"]["y"] + 1.75) / self._height
                self.figure.text(across, top, f"▾ {panel['title']}", color=INK, fontsize=10, va="center")
            else:
                self._panel(panel)

    def save(self, path: Path) -> None:
        """Write it, in as many colours as it needs."""
        full = BytesIO()
        self.figure.savefig(full, dpi=100, facecolor=BOARD)
        Image.open(full).convert("RGB").quantize(256, Image.Quantize.MEDIANCUT).save(path, optimize=True)

    def _panel(self, panel: dict[str, Any]) -> None:
        paper = self._axes(panel["gridPos"], (0.0, 0.0, 1.0, 1.0))
        paper.set_facecolor(PAPER)
        paper.set(xticks=[], yticks=[])
        for spine in paper.spines.values():
            spine.set_color("#2A2D33")
        high = panel["gridPos"]["h"] * UNIT[1]
        paper.text(0.02, 1 - 0.18 / high, panel["title"], color=INK, fontsize=8.5, va="center")
        inner = self._axes(panel["gridPos"], EDGE.get(panel["type"], (0.03, 0.05, 0.97, 1 - 0.4 / high)))
        inner.set_facecolor("none")
        KINDS[panel["type"]](inner, Told(panel, self._moments, self._answers(panel)))

    def _axes(self, place: dict[str, int], edge: tuple[float, float, float, float]) -> Axes:
        gap = 0.12
        wide, high = place["w"] - gap, place["h"] - gap
        left, bottom = place["x"] + gap / 2, self._height - 1.2 - place["y"] - place["h"] + gap / 2
        x, y, right, top = edge
        corner = ((left + x * wide) / 24, (bottom + y * high) / self._height)
        return self.figure.add_axes((*corner, (right - x) * wide / 24, (top - y) * high / self._height))

    def _answers(self, panel: dict[str, Any]) -> list[Drawn]:
        return [
            self._aligned(asked, series) for asked in asked_by(self._name, panel) for series in self._answered(asked)
        ]

    def _answered(self, asked: Asked) -> list[Series]:
        text = asked.filled_in(WINDOW, f"{self._moments[-1] - self._moments[0]:.0f}s")
        if asked.instant:
            return self._prometheus.now(text)
        return self._prometheus.range(text, self._moments[0], self._moments[-1], STEP)

    def _aligned(self, asked: Asked, series: Series) -> Drawn:
        known = {round(at, 1): value for at, value in series.points}
        values = [known.get(round(moment, 1), float("nan")) for moment in self._moments]
        return Drawn(legend(asked.legend, series.labels), values, series.labels)


def run(minutes: float, folder: Path) -> None:
    """A run of so long, and a picture of each dashboard at its end."""
    with (
        TemporaryDirectory() as place,
        site(Path(place), "2s") as running,
        under_load(running, users=6, pause=1.5) as load,
    ):
        start = time.time()
        load.floods.clear()
        for part, floods in ((0.5, False), (0.2, True), (0.3, False)):
            (load.floods.set if floods else load.floods.clear)()
            time.sleep(part * minutes * 60)
        for name in NAMES:
            page = Page(name, running.prometheus, start, time.time())
            page.draw()
            page.save(folder / f"{name}.png")


def main() -> None:
    """Draw them all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=6.0)
    parser.add_argument("--folder", type=Path, default=FOLDER)
    told = parser.parse_args()
    told.folder.mkdir(parents=True, exist_ok=True)
    run(told.minutes, told.folder)


if __name__ == "__main__":
    main()
