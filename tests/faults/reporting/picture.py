"""The timeline as SVG: faults in lanes, operations by kind and how they went, violations.

Owns where everything stands. Made by hand, so that the page is one file that any browser shows and no library draws;
what a bar is can be read by pointing at it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from math import ceil, isinf

from tests.faults.checking import Violation
from tests.faults.checking.faults import Span, spans
from tests.faults.operations import Operation
from tests.faults.reporting.service import KINDS, is_injected, of_kind, served

LEFT, RIGHT, TOP = 96, 24, 34
LANE, STRIP, BETWEEN = 16, 56, 14
LEAST_WIDTH, A_MINUTE = 1100, 110
BUCKETS = 240
COLOURS: Mapping[str, str] = {"done": "#4c8c6b", "refused": "#b8c4cc", "not served": "#d9822b"}
SYSTEMS: Mapping[str, str] = {
    "front": "#5b7db1",
    "lmtp": "#7aa0a8",
    "sweep": "#8aa58a",
    "redis": "#b0575b",
    "postgres": "#5f6fae",
    "objects": "#8a6fb0",
    "clients": "#8f8a5c",
}
OVERHEARD = "#d8aeb0"
NAMES: Mapping[str, str] = {
    "front": "front ends",
    "lmtp": "LMTP",
    "sweep": "sweep",
    "redis": "Redis",
    "postgres": "Postgres",
    "objects": "store",
    "clients": "clients",
}


@dataclass(frozen=True, slots=True)
class Scale:
    """From seconds of the history to pixels."""

    began: float
    seconds: float
    width: float

    def x(self, moment: float) -> float:
        within = min(max(moment - self.began, 0.0), self.seconds)
        return LEFT + within / self.seconds * (self.width - LEFT - RIGHT)


def timeline(history: Sequence[Operation], violations: Sequence[Violation]) -> str:
    """The picture of a whole history."""
    began, ended = min(one.began for one in history), max(one.ended for one in history)
    seconds = max(ended - began, 0.001)
    scale = Scale(began, seconds, max(LEAST_WIDTH, LEFT + RIGHT + A_MINUTE * seconds / 60))
    parts: list[str] = []
    y = float(TOP)
    found = spans(history)
    for system, lanes in _lanes([one for one in found if is_injected(one)]).items():
        parts += _faults(scale, system, lanes, y)
        y += LANE * len(lanes) + BETWEEN / 2
    overheard = [one for one in found if not is_injected(one)]
    if overheard:
        parts += [_label("overheard", y + 12), *(_fault(scale, one, OVERHEARD, y) for one in overheard)]
        y += LANE + BETWEEN / 2
    y += BETWEEN
    for kind in KINDS:
        parts += _strip(scale, kind, of_kind(history, kind), y)
        y += STRIP + BETWEEN
    parts = [*_axis(scale, y), *parts, *_violations(scale, history, violations, y)]
    size = f'width="{scale.width:.0f}" height="{y + 28:.0f}"'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="11">{"".join(parts)}</svg>'
    )


def _lanes(found: Sequence[Span]) -> Mapping[str, Sequence[Sequence[Span]]]:
    """The faults by what they harm, in as many lanes as overlap."""
    lanes: dict[str, list[list[Span]]] = {}
    for span in found:
        system = next((each for each in SYSTEMS if span.harmed and span.harmed[0].startswith(each)), "clients")
        own = lanes.setdefault(system, [])
        free = next((lane for lane in own if lane[-1].ended <= span.began), None)
        if free is None:
            own.append([span])
        else:
            free.append(span)
    return {system: lanes[system] for system in SYSTEMS if system in lanes}


def _faults(scale: Scale, system: str, lanes: Sequence[Sequence[Span]], y: float) -> Iterator[str]:
    yield _label(NAMES[system], y + 12)
    for number, lane in enumerate(lanes):
        for span in lane:
            yield _fault(scale, span, SYSTEMS[system], y + number * LANE)


def _fault(scale: Scale, span: Span, colour: str, y: float) -> str:
    left, right = scale.x(span.began), scale.x(span.ended)
    width = max(right - left, 2.5)
    what = str(span.fault.facts.get("what", ""))
    end = "never mended" if isinf(span.ended) else f"{span.ended - span.began:.1f} s"
    title = f"{what}, {end}; touches {', '.join(span.touches)}"
    fits = width > 6.2 * len(what)
    text = f'<text x="{left + 4:.1f}" y="{y + 11:.1f}" fill="#fff" font-size="10">{escape(what)}</text>' if fits else ""
    bar = f'<rect x="{left:.1f}" y="{y:.1f}" width="{width:.1f}" height="{LANE - 2}" rx="2" fill="{colour}">'
    return f"<g>{bar}<title>{escape(title)}</title></rect>{text}</g>"


def _strip(scale: Scale, kind: str, operations: Sequence[Operation], y: float) -> Iterator[str]:
    """Stacked bars: what was done, what was refused for a good reason, what wasn't served."""
    yield _label(kind, y + STRIP / 2 + 4)
    yield f'<line x1="{LEFT}" x2="{scale.width - RIGHT:.1f}" y1="{y + STRIP:.1f}" y2="{y + STRIP:.1f}" stroke="#ccd" />'
    counts = _buckets(scale, operations)
    most = max((sum(each.values()) for each in counts.values()), default=0)
    if most:
        rate = f"{most / (scale.seconds / BUCKETS):.3g}/s"
        yield f'<text x="{LEFT - 6}" y="{y + 8:.1f}" text-anchor="end" fill="#889" font-size="9">{rate}</text>'
    wide = (scale.width - LEFT - RIGHT) / BUCKETS
    for bucket, each in sorted(counts.items()):
        base = y + STRIP
        for name, colour in COLOURS.items():
            height = each[name] / most * STRIP
            base -= height
            if height:
                at = f'x="{LEFT + bucket * wide:.1f}" y="{base:.1f}"'
                size = f'width="{max(wide - 0.4, 0.6):.1f}" height="{height:.1f}"'
                yield f'<rect {at} {size} fill="{colour}"><title>{each[name]} {name}</title></rect>'


def _buckets(scale: Scale, operations: Sequence[Operation]) -> Mapping[int, Mapping[str, int]]:
    found: dict[int, dict[str, int]] = {}
    for one in operations:
        bucket = min(int((one.ended - scale.began) / scale.seconds * BUCKETS), BUCKETS - 1)
        each = found.setdefault(bucket, dict.fromkeys(COLOURS, 0))
        each["done" if one.outcome == "ok" else "refused" if served(one) else "not served"] += 1
    return found


def _violations(
    scale: Scale, history: Sequence[Operation], violations: Sequence[Violation], bottom: float
) -> Iterator[str]:
    by_number = {one.n: one for one in history}
    for place, violation in enumerate(violations, 1):
        if not violation.operations:
            continue
        x = scale.x(by_number[violation.operations[-1]].ended)
        way = f'x1="{x:.1f}" x2="{x:.1f}" y1="{TOP - 10}" y2="{bottom - BETWEEN:.1f}"'
        yield f'<line {way} stroke="#c22" stroke-dasharray="3 2" />'
        mark = f'<path d="M {x - 6:.1f} {TOP - 20} l 12 0 l -6 10 z" fill="#c22">'
        yield f"{mark}<title>{escape(f'{place}. {violation}')}</title></path>"


def _axis(scale: Scale, y: float) -> Iterator[str]:
    step = next(each for each in (5, 10, 30, 60, 120, 300, 600, 3600) if scale.seconds / each <= scale.width / 60)
    for number in range(ceil(scale.seconds / step) + 1):
        second = number * step
        if second <= scale.seconds:
            x = scale.x(scale.began + second)
            yield f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{TOP - 4}" y2="{y - BETWEEN + 4:.1f}" stroke="#e4e7ec" />'
            told = f"{second // 60}:{second % 60:02}"
            yield f'<text x="{x:.1f}" y="{y + 6:.1f}" text-anchor="middle" fill="#667">{told}</text>'


def _label(text: str, y: float) -> str:
    return f'<text x="8" y="{y:.1f}" fill="#334">{escape(text)}</text>'
