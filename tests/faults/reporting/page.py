"""The page: one HTML file with everything in it.

Owns the order of what a reader sees: the verdict first, then the picture, then the tables that explain it.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from html import escape
from math import isinf
from statistics import median

from tests.faults.campaign.recovery import Figure, Recovery
from tests.faults.checking import Violation
from tests.faults.checking.faults import Span, spans
from tests.faults.operations import Operation
from tests.faults.reporting.picture import COLOURS, timeline
from tests.faults.reporting.service import KINDS, Gap, gaps, is_injected, of_kind, worst

AFTER = 5.0
"""Seconds after a fault was mended in which a lack of service still counts as its doing."""
STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #223; margin: 2rem auto; max-width: 74rem; padding: 0 1rem; }
h1 { font-size: 1.6rem; margin-bottom: .2rem; } h2 { font-size: 1.15rem; margin-top: 2.2rem; }
table { border-collapse: collapse; width: 100%; font-size: .88rem; }
th, td { text-align: left; padding: .3rem .6rem; border-bottom: 1px solid #e3e6ec; vertical-align: top; }
th { color: #556; font-weight: 600; } td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; }
.verdict { display: inline-block; padding: .3rem .8rem; border-radius: .3rem; color: #fff; font-weight: 600; }
.good { background: #35754f; } .bad { background: #b3262b; }
.picture { overflow-x: auto; border: 1px solid #e3e6ec; border-radius: .4rem; background: #fff; }
.key span { display: inline-block; width: .8rem; height: .8rem; margin: 0 .3rem 0 1rem; vertical-align: -1px; }
code { font-size: .85em; } ol.violations li { margin-bottom: .8rem; }
"""


def page(title: str, history: Sequence[Operation], violations: Sequence[Violation]) -> str:
    """The whole document."""
    body = "".join(
        [
            _head(title, history, violations),
            _picture(history, violations),
            _section("Violations", _violations(history, violations)) if violations else "",
            _section("What recovery felt like", _recovery(history)),
            _section("Faults, and the longest time in which some tried and none was served", _faults(history)),
            _section("Operations", _operations(history)),
        ]
    )
    head = f'<meta charset="utf-8"><title>{escape(title)}</title><style>{STYLE}</style>'
    return f'<!doctype html><html lang="en"><head>{head}</head><body>{body}</body></html>\n'


def _head(title: str, history: Sequence[Operation], violations: Sequence[Violation]) -> str:
    seconds = max(one.ended for one in history) - min(one.began for one in history)
    drops = len({one.maildrop for one in history if one.maildrop})
    good = "No violation" if not violations else f"{len(violations)} violations"
    verdict = f'<span class="verdict {"bad" if violations else "good"}">{good}</span>'
    faults = len([span for span in spans(history) if is_injected(span)])
    told = f"{len(history):,} operations on {drops} maildrops in {seconds / 60:.1f} minutes, {faults} faults."
    return f"<h1>{escape(title)}</h1><p>{verdict} &nbsp; {told}</p>"


def _picture(history: Sequence[Operation], violations: Sequence[Violation]) -> str:
    key = "".join(f'<span style="background:{colour}"></span>{name}' for name, colour in COLOURS.items())
    words = (
        "Bars of faults say more when pointed at; a red triangle is a violation. Operations by kind, by how they went:"
    )
    return f'<div class="picture">{timeline(history, violations)}</div><p class="key">{words}{key}</p>'


def _violations(history: Sequence[Operation], violations: Sequence[Violation]) -> str:
    by_number = {one.n: one for one in history}
    began = min(one.began for one in history)
    items = []
    for violation in violations:
        rows = (_row(_operation(by_number[n], began)) for n in violation.operations)
        words = f"<strong>{violation.guarantee}</strong> {escape(violation.maildrop or '')}: {escape(violation.words)}"
        items.append(f"<li>{words}<table>{''.join(rows)}</table></li>")
    return f'<ol class="violations">{"".join(items)}</ol>'


def _operation(one: Operation, began: float) -> Iterator[tuple[str, str]]:
    yield "n", f"#{one.n}"
    yield "n", f"{one.began - began:.3f}–{one.ended - began:.3f} s"
    yield "", escape(f"{one.client} {one.session or ''}")
    yield "", f"{one.kind} {one.outcome}"
    yield "", f"<code>{escape(one.said)}</code>"


def _recovery(history: Sequence[Operation]) -> str:
    head = _heads(("", "what"), ("", "aim"), ("n", "times"), ("", "found"))
    return _table(head, (_figure(each) for each in Recovery(history).figures()))


def _figure(figure: Figure) -> Iterator[tuple[str, str]]:
    yield "", escape(figure.what)
    yield "", escape(figure.aim)
    yield "n", f"{len(figure.found) or ''}"
    spread = f"median {median(figure.found):.1f} s, worst {max(figure.found):.1f} s" if figure.found else "none"
    yield "", escape(figure.told or spread)


def _faults(history: Sequence[Operation]) -> str:
    found = {kind: gaps(of_kind(history, kind)) for kind in KINDS}
    began = min(one.began for one in history)
    head = _heads(("", "fault"), ("n", "at"), ("n", "for"), ("", "touches"), *(("n", kind) for kind in KINDS))
    injected = [span for span in spans(history) if is_injected(span)]
    rows = ([*_fault(span, began), *(("n", _gap(span, found[kind])) for kind in KINDS)] for span in injected)
    return _table(head, rows)


def _fault(span: Span, began: float) -> Iterator[tuple[str, str]]:
    at = int(span.began - began)
    yield "", escape(str(span.fault.facts.get("what", "")))
    yield "n", f"{at // 60}:{at % 60:02}"
    yield "n", "to the end" if isinf(span.ended) else f"{span.ended - span.began:.1f} s"
    yield "", escape(", ".join(span.touches))


def _gap(span: Span, found: Sequence[Gap]) -> str:
    gap = worst(found, span, span.ended + AFTER)
    return "–" if gap is None else f"{gap.seconds:.1f} s"


def _operations(history: Sequence[Operation]) -> str:
    counts = Counter[tuple[str, str]]((one.kind, one.outcome) for one in history if one.kind not in {"fault", "mended"})
    kinds = sorted({kind for kind, _ in counts})
    head = _heads(("", "kind"), ("n", "ok"), ("n", "fail"), ("n", "unknown"), ("", "what failures said"))
    return _table(head, (_kind(history, kind, counts) for kind in kinds))


def _kind(history: Sequence[Operation], kind: str, counts: Counter[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    said = Counter(one.said[:60] for one in history if one.kind == kind and one.outcome == "fail")
    yield "", kind
    for outcome in ("ok", "fail", "unknown"):
        yield "n", f"{counts[kind, outcome]:,}"
    yield "", "<br>".join(f"{count} <code>{escape(text)}</code>" for text, count in said.most_common(6))


def _section(title: str, content: str) -> str:
    return f"<h2>{escape(title)}</h2>{content}"


def _heads(*cells: tuple[str, str]) -> str:
    return "<tr>" + "".join(f'<th class="{kind}">{escape(text)}</th>' for kind, text in cells) + "</tr>"


def _row(cells: Iterable[tuple[str, str]]) -> str:
    return "<tr>" + "".join(f'<td class="{kind}">{text}</td>' for kind, text in cells) + "</tr>"


def _table(head: str, rows: Iterable[Iterable[tuple[str, str]]]) -> str:
    return f"<table>{head}{''.join(map(_row, rows))}</table>"
