"""Says in plain words what is wrong with the settings.

Owns the wording, and the guess at what a misspelt key was meant to be.
Refuses to repeat a value: it may be a secret.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import takewhile
from pathlib import Path
from typing import Any, get_args

from pydantic import ValidationError

from service.settings.schema import Settings

_NETWORK = "must be a network such as 10.0.0.0/8 or fd00::/8, no bits set behind its prefix"
_WORDS = {
    "missing": "is required",
    "int_parsing": "must be a whole number",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_parsing": "must be a number",
    "float_type": "must be a number",
    "bool_parsing": "must be true or false",
    "bool_type": "must be true or false",
    "string_type": "must be text",
    "tuple_type": "must be a list",
    "model_type": "must be a group of settings",
    "path_type": "must be a path",
    "ip_v4_network": _NETWORK,
    "ip_v6_network": _NETWORK,
}


@dataclass(frozen=True, slots=True)
class Problem:
    """One wrong key and what is wrong with it."""

    key: str
    text: str

    def __str__(self) -> str:
        """One line for people."""
        return f"{self.key} {self.text}"


class SettingsError(Exception):
    """The settings can't be used; the text has one line for each problem."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = tuple(problems)


def complaints(error: ValidationError, environment: Mapping[str, Any], path: Path | None) -> list[Problem]:
    """What pydantic found, each with the place it came from."""
    found = []
    for detail in error.errors(include_url=False, include_input=False):
        place = tuple(part for part in detail["loc"] if not _is_branch(part))
        place, words = _aimed(place, _words(detail["type"], detail["msg"], place))
        found.append(Problem(dotted(place), words + _from(place, environment, path)))
    # Of a union each member complains.
    return list(dict.fromkeys(found))


Place = tuple[int | str, ...]


def dotted(place: Place) -> str:
    """`listeners[0].port` for its parts."""
    text = ""
    for part in place:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text or "the settings"


def _is_branch(part: int | str) -> bool:
    """Whether pydantic added this part itself, to say which member of a union it tried."""
    return isinstance(part, str) and (not part.islower() or part in {"ipv4network", "ipv6network"})


def _aimed(place: Place, words: str) -> tuple[Place, str]:
    """The key and the words; those that concern a whole group begin with the name of the key they mean."""
    first, _, rest = words.partition(" ")
    return ((*place, first), rest) if first in _keys_beside((*place, first)) else (place, words)


def _words(kind: str, message: str, place: Place) -> str:
    if kind == "extra_forbidden":
        return "is no setting of Poplar's" + _guess(place)
    if kind in _WORDS:
        return _WORDS[kind]
    return re.sub(r"^(Input|Value|String) should", "must", message.removeprefix("Value error, "))


def _guess(place: Place) -> str:
    near = get_close_matches(str(place[-1]), _keys_beside(place), n=1)
    return f"; did you mean {near[0]}?" if near else ""


def _from(place: Place, environment: Mapping[str, Any], path: Path | None) -> str:
    value: Any = environment
    # A list comes whole, from the one or the other.
    steps = [str(part) for part in takewhile(lambda part: isinstance(part, str), place)]
    for step in steps:
        if not isinstance(value, Mapping) or step not in value:
            return f" (in {path})" if path else ""
        value = value[step]
    return f" (set by POPLAR_{'__'.join(steps).upper()})" if steps else ""


def _keys_beside(place: Place) -> list[str]:
    """The keys that may stand where the last part of `place` does."""
    model: Any = Settings
    for part in place[:-1]:
        if isinstance(part, int):
            continue
        if part not in getattr(model, "model_fields", {}):
            return []
        annotation = model.model_fields[part].annotation
        model = annotation if isinstance(annotation, type) else next(iter(get_args(annotation)), None)
    return list(getattr(model, "model_fields", {}))
