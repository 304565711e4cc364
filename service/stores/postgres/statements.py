"""What the statements of this package are called in traces.

Owns that a statement has the name of the constant that holds it, with its module's, so that a new one is named without
anybody's help and no text of SQL leaves the process. Refuses to know what they say.
"""

import sys
from collections.abc import Iterator

UNNAMED = "statement"
SHORTEST = 20
"""Characters of a constant that is a statement."""
MOST = 1000
"""Statements whose names are remembered; there are some two hundred."""

_names: dict[str, str] = {}


def name_of(statement: str) -> str:
    """Such as `directory.find` for `FIND` in `directory.py`, or what begins with it; else UNNAMED."""
    name = _names.get(statement)
    if name is None:
        # Every module that can have sent it is loaded by now.
        held = max((each for each in _constants() if statement.startswith(each[0])), key=lambda each: len(each[0]))
        name = held[1]
        if len(_names) < MOST:
            _names[statement] = name
    return name


def _constants() -> Iterator[tuple[str, str]]:
    yield "", UNNAMED
    package = f"{__package__}."
    for module, content in list(sys.modules.items()):
        if module.startswith(package):
            for constant, value in vars(content).items():
                if constant.isupper() and isinstance(value, str) and len(value) >= SHORTEST:
                    yield value, f"{module.removeprefix(package)}.{constant.strip('_').lower()}"
