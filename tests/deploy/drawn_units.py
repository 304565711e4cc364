"""Numbers, legends and colours as Grafana writes them, for the pictures of dashboards.

Owns the few units that Poplar's panels have. Refuses to draw.
"""

import math
import re
from collections.abc import Mapping

PALETTE = ("#73BF69", "#F2CC0C", "#5794F2", "#FF9830", "#F2495C", "#B877D9", "#8AB8FF", "#FFA6B0", "#96D98D", "#C0D8FF")
COLOURS: Mapping[str, str] = {
    "green": "#73BF69",
    "yellow": "#FADE2A",
    "orange": "#FF9830",
    "red": "#F2495C",
    "blue": "#5794F2",
    "transparent": "#00000000",
}
STEPS: Mapping[str, tuple[tuple[float, str], ...]] = {
    "s": ((86_400.0, "d"), (3600.0, "h"), (60.0, "min"), (1.0, "s"), (1e-3, "ms"), (1e-6, "µs")),
    "bytes": ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB"), (1.0, "B")),
    "short": ((1e6, "Mil"), (1e3, "K"), (1.0, "")),
}
FORMS = {"dtdurations": "s", "Bps": "bytes", "none": "short", "cps": "short"}
BINARY = {"bytes", "Bps"}
SUFFIXES = {"Bps": "/s", "cps": " c/s"}


def written(value: float, unit: str, decimals: int | None = None) -> str:
    """A number in its unit."""
    if unit == "percentunit":
        return f"{_number(value * 100, decimals)} %"
    steps = STEPS[FORMS.get(unit, unit)]
    factor, word = next((step for step in steps if abs(value) >= step[0]), (1.0, "s" if unit == "s" else ""))
    return f"{_number(value / factor, decimals)} {word}".strip() + SUFFIXES.get(unit, "")


def _number(value: float, decimals: int | None) -> str:
    if decimals is not None:
        return f"{value:.{int(decimals)}f}"
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"


def legend(form: str, labels: Mapping[str, str]) -> str:
    """A legend with its labels' values put in."""
    return re.sub(r"\{\{(\w+)\}\}", lambda found: labels.get(found[1], ""), form)


def spacing(top: float, unit: str) -> float:
    """The distance of an axis' marks: a round number in the unit."""
    factor = next((step[0] for step in STEPS[FORMS.get(unit, unit)] if top >= step[0]), 1.0) if unit in BINARY else 1.0
    rough = top / factor / 4
    power = 10.0 ** math.floor(math.log10(rough))
    return factor * power * min((1.0, 2.0, 5.0, 10.0), key=lambda step: abs(step - rough / power))


def colour_at(value: float, steps: list[dict[str, object]]) -> str:
    """The colour of the highest threshold that a value has reached."""
    reached = [step for step in steps if step.get("value") is None or value >= float(str(step["value"]))]
    return COLOURS[str(reached[-1]["color"])]
