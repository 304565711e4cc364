"""What each setting means: the docstring below it.

Owns the reading of it, out of the source and only when somebody asks. pydantic reads it whenever a class is made, if
told to (`use_attribute_docstrings`), which was 6 % of loading a front end and more of other commands (`start-up.md`).
"""

import ast
import inspect
from collections.abc import Iterator, Mapping
from functools import cache
from itertools import pairwise

from service.settings.section import Section


@cache
def meanings(section: type[Section]) -> Mapping[str, str]:
    """The docstring below each setting of this section, by the setting's name; none for one that has none."""
    told: dict[str, str] = {}
    for each in reversed(section.__mro__):
        if issubclass(each, Section):
            told.update(_below_names(each))
    return told


def _below_names(section: type[Section]) -> Iterator[tuple[str, str]]:
    (definition,) = ast.parse(inspect.getsource(section)).body
    if not isinstance(definition, ast.ClassDef):
        raise TypeError(f"{section} is no class in its source")
    for statement, below in pairwise(definition.body):
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            match below:
                case ast.Expr(value=ast.Constant(value=str(text))):
                    yield statement.target.id, inspect.cleandoc(text)
