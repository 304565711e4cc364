"""Options that several commands share, gathered in one dataclass each.

Owns the way from a command whose parameter is such a dataclass to the flat signature that typer reads:
every field of the dataclass becomes an option. Refuses to know any option's meaning.
"""

import functools
import inspect
from collections.abc import Callable, Iterator
from dataclasses import MISSING, Field, fields, is_dataclass
from inspect import Parameter
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


def gathering(command: Callable[P, R]) -> Callable[..., R]:
    """`command`, offered to typer with the fields of its dataclass parameters as parameters of their own."""
    given = inspect.signature(command).parameters.values()
    groups = {parameter.name: parameter.annotation for parameter in given if _is_group(parameter.annotation)}

    @functools.wraps(command)
    def offered(**values: Any) -> R:
        for name, group in groups.items():
            values[name] = group(**{field.name: values.pop(field.name) for field in fields(group)})
        return command(**values)  # type: ignore[call-arg]

    flat = [each for parameter in given for each in _offered(parameter)]
    offered.__dict__["__signature__"] = inspect.Signature(flat)
    offered.__annotations__ = {parameter.name: parameter.annotation for parameter in flat}
    return offered


def _offered(parameter: Parameter) -> Iterator[Parameter]:
    if not _is_group(parameter.annotation):
        yield parameter.replace(kind=Parameter.KEYWORD_ONLY)
        return
    for field in fields(parameter.annotation):
        yield Parameter(field.name, Parameter.KEYWORD_ONLY, default=_default(field), annotation=field.type)


def _default(field: "Field[Any]") -> object:
    return Parameter.empty if field.default is MISSING else field.default


def _is_group(annotation: object) -> bool:
    return isinstance(annotation, type) and is_dataclass(annotation)
