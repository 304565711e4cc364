"""How a difference looks: a line a step for people, JSON for programs.

Owns the signs (+ created, ~ changed, - removed) and the sums. Refuses to know how a difference came about.
"""

from collections import Counter
from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.text import Text

from service.cli.tenancy_output import WIDE, plain, value_words
from service.mail.declared.planning import Plan
from service.mail.declared.steps import Change, Kind, Step
from service.telemetry.cleaning import printable

SIGNS = {Kind.CREATE: ("+", "green"), Kind.CHANGE: ("~", "yellow"), Kind.REMOVE: ("-", "red")}
NOTHING = "nothing to change"


def show(plans: Iterable[Plan], headline: str = "") -> None:
    """Print each tenant that differs and its steps."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = WIDE
    for plan in plans:
        if plan.steps:
            console.print(Text(f"tenant {plan.tenant}{headline}", style="bold"))
        for step in plan.steps:
            sign, colour = SIGNS[step.kind]
            console.print(Text(printable(f"  {sign} {_told(step)}"), style=colour), soft_wrap=True)


def _told(step: Step) -> str:
    changes = ", ".join(_changed(change, step.kind) for change in step.changes)
    return f"{step.what} {step.name}" + (f": {changes}" if changes else "")


def _changed(change: Change, kind: Kind) -> str:
    if kind is Kind.REMOVE:
        return f"{change.name} {change.before}"
    after = value_words(change.after)
    return f"{change.name} {after}" if kind is Kind.CREATE else f"{change.name} {value_words(change.before)} -> {after}"


def summed(plans: Sequence[Plan], done: bool) -> str:
    """How many steps of each kind, in a sentence."""
    kinds = Counter(step.kind for plan in plans for step in plan.steps)
    if not kinds:
        return NOTHING
    verbs = {kind: f"{kind.value}d" if done else f"to {kind.value}" for kind in Kind}
    return ", ".join(f"{kinds[kind]} {verb}" for kind, verb in verbs.items() if kinds[kind])


def rows(plans: Iterable[Plan]) -> list[object]:
    """Every step, as JSON has it."""
    return [_row(plan.tenant, step) for plan in plans for step in plan.steps]


def _row(tenant: str, step: Step) -> object:
    changes = [{"name": each.name, "before": plain(each.before), "after": plain(each.after)} for each in step.changes]
    return {"tenant": tenant, "action": step.kind.value, "what": step.what, "name": step.name, "changes": changes}
