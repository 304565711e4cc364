"""Draws one panel of each kind: lines, areas, numbers, bars, tables and words.

Owns the likeness to Grafana's dark theme. Refuses to ask Prometheus: it is given what the panel's queries came to.
"""

import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator, MultipleLocator

from tests.deploy.drawn_units import COLOURS, PALETTE, colour_at, spacing, written

PAPER, BOARD, INK, FAINT = "#181B1F", "#111217", "#CCCCDC", "#8E8E9C"


@dataclass(frozen=True)
class Drawn:
    """A series with its legend, on the moments that all series of the picture share; gaps are NaN."""

    name: str
    values: Sequence[float]
    labels: Mapping[str, str]

    @property
    def last(self) -> float:
        """The last value that is one."""
        return next((value for value in reversed(self.values) if not np.isnan(value)), float("nan"))


@dataclass(frozen=True)
class Told:
    """A panel and what Prometheus said."""

    panel: Mapping[str, Any]
    moments: Sequence[float]
    series: Sequence[Drawn]

    @property
    def defaults(self) -> Mapping[str, Any]:
        return dict(self.panel["fieldConfig"]["defaults"])

    @property
    def steps(self) -> list[dict[str, Any]]:
        return list(self.defaults.get("thresholds", {}).get("steps", []))

    def write(self, value: float) -> str:
        """A value in the panel's unit."""
        return written(value, self.defaults.get("unit", "short"), self.defaults.get("decimals"))

    def colour(self, number: int) -> str:
        """The colour of the series of this number."""
        for override in self.panel["fieldConfig"].get("overrides", ()):
            if override["matcher"].get("options") == self.series[number].name:
                return COLOURS[override["properties"][0]["value"]["fixedColor"]]
        return PALETTE[number % len(PALETTE)]


def lines(axes: Axes, told: Told) -> None:
    """Lines or areas over time, with limits and a legend."""
    custom = told.defaults["custom"]
    stacked = custom.get("stacking", {}).get("mode") == "normal"
    opacity = custom["fillOpacity"] / 100
    base = np.zeros(len(told.moments))
    times = np.array(told.moments)
    for number, series in enumerate(told.series):
        values = np.array(series.values)
        top = base + np.nan_to_num(values) if stacked else values
        colour = told.colour(number)
        axes.plot(times, np.where(np.isnan(values), np.nan, top), color=colour, linewidth=1.0)
        axes.fill_between(times, base if stacked else 0, top, color=colour, alpha=opacity, linewidth=0)
        base = top if stacked else base
    _ruled(axes, told, custom)
    _legend(axes, told)


def _ruled(axes: Axes, told: Told, custom: Mapping[str, Any]) -> None:
    top = max(axes.get_ylim()[1], custom.get("axisSoftMax", 0), told.defaults.get("max", 0))
    finite = [value for series in told.series for value in series.values if not np.isnan(value)]
    if not any(finite) and "max" not in told.defaults:
        top = max(1.0, custom.get("axisSoftMax", 0))
    axes.set_ylim(0, top)
    for mark in told.steps:
        if custom.get("thresholdsStyle", {}).get("mode") == "dashed" and 0 < (mark.get("value") or 0) <= top:
            axes.axhline(mark["value"], color=COLOURS[mark["color"]], linewidth=0.9, linestyle=(0, (5, 4)))
    step = spacing(top, told.defaults.get("unit", "short"))
    axes.yaxis.set_major_locator(MultipleLocator(max(step, 1.0) if told.defaults.get("decimals") == 0 else step))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: told.write(value)))
    axes.set_xlim(told.moments[0], told.moments[-1])
    axes.xaxis.set_major_locator(MaxNLocator(6))
    axes.xaxis.set_major_formatter(FuncFormatter(_clock))
    axes.grid(color="#2C2F36", linewidth=0.6)
    axes.tick_params(colors=FAINT, labelsize=7, length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)


def _clock(moment: float, _: object) -> str:
    return f"{datetime.fromtimestamp(moment, UTC):%H:%M:%S}"


def _legend(axes: Axes, told: Told) -> None:
    handles = [axes.plot([], [], color=told.colour(number), linewidth=3)[0] for number, _ in enumerate(told.series)]
    names = [series.name or told.panel["title"] for series in told.series]
    columns = 4 if max(map(len, names), default=0) < 14 else 2
    axes.legend(
        handles,
        names,
        loc="upper left",
        bbox_to_anchor=(-0.02, -0.08),
        ncols=columns,
        fontsize=7,
        frameon=False,
        labelcolor=INK,
        handlelength=1.0,
        columnspacing=1.2,
    )


def number(axes: Axes, told: Told) -> None:
    """The last value, large, before what it was."""
    axes.axis("off")
    values = np.array(told.series[0].values)
    last = told.series[0].last
    colour = colour_at(last, told.steps)
    span = np.nanmax(values) - np.nanmin(values) or 1.0
    heights = (values - np.nanmin(values)) / span * 0.35
    across = np.linspace(0, 1, len(values))
    axes.plot(across, heights, color=colour, linewidth=0.8, alpha=0.7)
    axes.fill_between(across, heights, color=colour, alpha=0.15, linewidth=0)
    axes.set_ylim(0, 1)
    axes.set_xlim(0, 1)
    axes.text(0.5, 0.55, told.write(last), color=colour, fontsize=19, ha="center", va="center")


def bars(axes: Axes, told: Told) -> None:
    """The last value of each series."""
    axes.axis("off")
    ordered = sorted(told.series, key=lambda series: -series.last)
    for place, series in enumerate(ordered):
        top, colour = -place, colour_at(series.last, told.steps)
        axes.barh(top, 1.0, height=0.5, left=0, color="#22252B")
        axes.barh(top, min(1.0, series.last / told.defaults.get("max", 1)), height=0.5, color=colour)
        axes.text(0, top + 0.32, series.name, color=INK, fontsize=7.5, va="bottom")
        axes.text(1.02, top, told.write(series.last), color=colour, fontsize=9, va="center")
    axes.set_xlim(0, 1.2)
    axes.set_ylim(-max(len(ordered), 4) + 0.3, 0.9)


def table(axes: Axes, told: Told) -> None:
    """Labels in columns."""
    axes.axis("off")
    columns = {"alertname": 0.0, "severity": 0.36, "alertstate": 0.5, "instance": 0.66, "window": 0.88}
    rows = [series.labels for series in told.series][:9]
    for name, left in columns.items():
        axes.text(left, 0.97, name, color="#6E9FFF", fontsize=8, weight="bold", va="top")
        for place, labels in enumerate(rows, 1):
            colour = COLOURS["red"] if labels.get(name) == "firing" else INK
            axes.text(left, 0.97 - place * 0.1, labels.get(name, ""), color=colour, fontsize=8, va="top")
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)


def words(axes: Axes, told: Told) -> None:
    """Markdown, its marks left out."""
    axes.axis("off")
    text = told.panel["options"]["content"].strip().replace("**", "").replace("`", "").replace("*", "")
    blocks = text.replace("\n  ", " ").replace("\n-", "\0-").replace("\n\n", "\0")
    wrapped = [textwrap.fill(" ".join(block.split()), 118, subsequent_indent="   ") for block in blocks.split("\0")]
    axes.text(0, 1, "\n".join(wrapped), color=INK, fontsize=8, va="top", linespacing=1.5, transform=axes.transAxes)


KINDS: Mapping[str, Callable[[Axes, Told], None]] = {
    "timeseries": lines,
    "stat": number,
    "bargauge": bars,
    "table": table,
    "text": words,
}
