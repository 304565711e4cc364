"""What the tenancy verbs print: tables for people, JSON for programs.

Owns how a view is put in words. Refuses to know how anything came about, and loads rich only when it prints a table.
"""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import Enum
from uuid import UUID

import typer

from service.model.policy_table import RULES
from service.model.tenancy import MaildropView, Setting
from service.telemetry.cleaning import printable

WIDE = 400
Columns = Sequence[str]
"""Attribute names of a view; the heading is the name with spaces."""


def say(text: str) -> None:
    """One line for a person, on whose terminal no name in it can do anything."""
    typer.echo(printable(text))


def tell(sentence: str, as_json: bool, facts: object) -> None:
    """What was done: a sentence for a person, or one JSON object."""
    if as_json:
        _give(plain(facts))
    else:
        say(sentence)


def _give(value: object) -> None:
    """JSON for a program: names stand in it as they are."""
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False))


def print_rows(views: Sequence[object], columns: Columns, as_json: bool) -> None:
    """Many things: a table, or one JSON array."""
    if as_json:
        _give([plain(view) for view in views])
        return
    _print(columns, [[words(getattr(view, column)) for column in columns] for view in views])


def print_one(view: object, as_json: bool, beside: Mapping[str, object] | None = None) -> None:
    """One thing, with what else is known `beside` it: a line a value, or one JSON object."""
    facts = {**_facts(view), **(beside or {})}
    if as_json:
        _give(plain(facts))
        return
    _print((), [[name.replace("_", " "), words(value, "\n")] for name, value in facts.items()])


def _print(columns: Columns, rows: Sequence[Sequence[str]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(*(column.replace("_", " ") for column in columns), box=None, pad_edge=False)
    table.show_header = bool(columns)
    for row in rows:
        # As text: a name may look like markup, and it may turn what follows on the line around.
        table.add_row(*(Text(printable(cell, "\n")) for cell in row))
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = WIDE  # A pipe has no edge to fold at.
    console.print(table)


def plain(value: object) -> object:
    """`value` in what JSON has."""
    if isinstance(value, UUID | datetime):
        return value.isoformat() if isinstance(value, datetime) else str(value)
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Mapping):
        return {str(name): plain(each) for name, each in value.items()}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return plain(_facts(value))
    return [plain(each) for each in value] if isinstance(value, list | tuple) else value


def words(value: object, between: str = ", ") -> str:
    """`value` as a person reads it; `between` stands between the parts of what has several."""
    if value is None:
        return "-"
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M:%SZ")
    if dataclasses.is_dataclass(value):
        return words(_facts(value), between)
    if isinstance(value, Mapping):
        return between.join(f"{name}={_part(name, each)}" for name, each in value.items()) or "-"
    return str(plain(value))


def _part(name: str, value: object) -> str:
    if isinstance(value, Mapping):
        return f"({words(value)})"
    if isinstance(value, Setting):
        return f"{value_words(value.value, name)} ({value.origin.value})"
    return words(value) if isinstance(value, Enum) else value_words(value, name)


def value_words(value: object, name: str = "") -> str:
    """A policy's value as it is typed; `name` tells what to call None."""
    if isinstance(value, bool):
        return "on" if value else "off"
    if value is None:
        return RULES[name].nothing if name in RULES else "none"
    return ",".join(value) if isinstance(value, tuple) else str(value)


def _facts(view: object) -> dict[str, object]:
    """The view's fields; a maildrop's policy is shown as it binds, with the origin of each value."""
    facts = {name: getattr(view, name) for name in _names(view)}
    if isinstance(view, MaildropView):
        del facts["inherited"]
        facts["policy"] = view.settings
    return facts


def _names(view: object) -> list[str]:
    return [field.name for field in dataclasses.fields(view)] if dataclasses.is_dataclass(view) else []
