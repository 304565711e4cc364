"""The figures of a run as they stand in deploy/decisions/speed.md and in the README: a table, and a picture of bars.

    python -m tests.load.page .tools/load/figures.json [PICTURE.svg]

Owns how ratios are told. Refuses to measure.
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.load.works import WORKS, Work

PICTURED = {
    "argon2": "polls/s, Argon2id stored",
    "poll-16": "polls/s, 16 clients",
    "poll-128": "polls/s, 128 clients",
    "drain": "9 KB messages/s",
    "large": "5 MB messages, MB/s",
    "tls": "the same over TLS",
    "deliver": "LMTP deliveries/s",
}
POPLAR, DOVECOT = "#2a6f4e", "#9aa5a0"

Figures = Mapping[str, Any]


def rows(told: Figures) -> list[str]:
    """Markdown: one line for each work."""
    head = [
        "| work | goal | Poplar | beside | ratio | CPU Poplar | CPU beside | PASS p99 |",
        "|---|---|---|---|---|---|---|---|",
    ]
    return head + [_row(work, told["works"][work.name]) for work in WORKS if work.name in told["works"]]


def _row(work: Work, figures: Figures) -> str:
    if "error" in figures:
        return f"| {work.what} | {work.goal} | failed | | | | | |"
    (_, ours), *others = figures.items()
    beside = next(iter(others), None)
    cells = [work.what, work.goal, _figure(work, ours)]
    if beside is None:
        return f"| {' | '.join([*cells, '', '', _cpu(ours), '', _pass(ours)])} |"
    name, theirs = beside
    ratio = f"{ours['median'] / theirs['median']:.2f}" if theirs["median"] else ""
    told = f"{_figure(work, theirs)} ({name})" if name != "Dovecot" else _figure(work, theirs)
    both = f"{_pass(ours)} / {_pass(theirs)}" if _pass(ours) else ""
    return f"| {' | '.join([*cells, told, ratio, _cpu(ours), _cpu(theirs), both])} |"


def _figure(work: Work, one: Figures) -> str:
    return f"{_short(one['median'])} {work.unit} [{_short(one['least'])}, {_short(one['most'])}]"


def _short(number: float) -> str:
    return f"{number:,.0f}" if number >= 100 else f"{number:.3g}"


def _cpu(one: Figures) -> str:
    parts = {name: value for name, value in one["cpu"].items() if value >= 0.5}
    return f"{_short(sum(one['cpu'].values()))} us ({', '.join(f'{name} {_short(v)}' for name, v in parts.items())})"


def _pass(one: Figures) -> str:
    return f"{one['pass_p99']:.1f} ms" if one["pass_p99"] else ""


def draw(told: Figures, path: Path) -> None:
    """Bars: Poplar and Dovecot, as parts of the better of the two."""
    from matplotlib.figure import Figure

    pictured = {
        what: told["works"][name] for name, what in PICTURED.items() if "Dovecot" in told["works"].get(name, {})
    }
    figure = Figure(figsize=(8, 0.75 * len(pictured) + 0.9))
    axes = figure.subplots()
    for place, each in enumerate(pictured.values()):
        pair = (each["usual"]["median"], each["Dovecot"]["median"])
        for offset, value, colour in zip((-0.2, 0.2), pair, (POPLAR, DOVECOT), strict=True):
            axes.barh(place + offset, value / max(pair), height=0.36, color=colour)
            axes.text(value / max(pair) + 0.01, place + offset, _short(value), va="center", fontsize=9)
    axes.set_yticks(range(len(pictured)), list(pictured))
    axes.invert_yaxis()
    axes.set_xlim(0, 1.15)
    axes.set_xticks([])
    axes.set_title("Poplar (green) beside tuned Dovecot (grey): more is better", fontsize=10, loc="left")
    for side in ("top", "right", "bottom"):
        axes.spines[side].set_visible(False)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})


def main() -> None:
    told = json.loads(Path(sys.argv[1]).read_text("utf-8"))
    sys.stdout.write("\n".join(rows(told)) + "\n")
    if len(sys.argv) > 2:
        draw(told, Path(sys.argv[2]))


if __name__ == "__main__":
    main()
