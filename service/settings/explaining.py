"""Tells every setting's meaning, default, value and origin, with secrets masked.

Owns the table behind `poplar settings --explain`. Refuses to print: the command does.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from pydantic import SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from service.settings.loading import Sources
from service.settings.meanings import meanings
from service.settings.section import SecretUrl, Section
from service.settings.urls import login_is_cut

MASK = "********"


@dataclass(frozen=True, slots=True)
class Explained:
    """One setting as people read it."""

    key: str
    variable: str
    meaning: str
    default: str
    value: str
    origin: str
    """`default`, `file` or `environment`."""


def explain(sources: Sources) -> Iterator[Explained]:
    """Every setting, in the order of the settings; a list's members one by one."""
    return _explain(sources.settings, (), sources)


def _explain(section: Section, place: tuple[str, ...], sources: Sources) -> Iterator[Explained]:
    for name, field in type(section).model_fields.items():
        value = getattr(section, name)
        here = (*place, name)
        if isinstance(value, Section):
            yield from _explain(value, here, sources)
        elif isinstance(value, tuple) and any(isinstance(item, Section) for item in value):
            for number, item in enumerate(value):
                yield from _explain(item, (*place, f"{name}[{number}]"), sources)
        else:
            meaning = " ".join(meanings(type(section)).get(name, "").split())
            yield _row(here, meaning, field, value, sources)


def _row(place: tuple[str, ...], meaning: str, field: FieldInfo, value: object, sources: Sources) -> Explained:
    settable = _settable(place)
    return Explained(
        key=".".join(place),
        variable="POPLAR_" + "__".join(settable).upper(),
        meaning=meaning,
        default=_default(field),
        value=shown(value),
        origin=_origin(settable, sources),
    )


def _settable(place: tuple[str, ...]) -> tuple[str, ...]:
    """What a variable sets: the setting itself, or the whole list that it stands in."""
    plain = tuple(part.partition("[")[0] for part in place)
    depth = next((number for number, part in enumerate(place, 1) if "[" in part), len(place))
    return plain[:depth]


def _default(field: FieldInfo) -> str:
    if field.default_factory is not None:
        return "(this host's name)"
    return "(required)" if field.default is PydanticUndefined else shown(field.default)


def _origin(place: Sequence[str], sources: Sources) -> str:
    if _has(sources.environment, place):
        return "environment"
    return "file" if _has(sources.file, place) else "default"


def _has(values: Any, place: Sequence[str]) -> bool:
    for part in place:
        if not isinstance(values, Mapping) or part not in values:
            return False
        values = values[part]
    return True


def shown(value: object) -> str:
    """`value` as text; a secret is masked, of a URL its password and secret parameters alone."""
    if isinstance(value, SecretUrl):
        return masked_url(value.get_secret_value())
    if isinstance(value, SecretStr):
        return MASK
    if isinstance(value, tuple):
        return ", ".join(map(shown, value))
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else masked_url(str(value)) if "://" in str(value) else str(value)


def masked_url(url: str) -> str:
    """The URL with its password, and any parameter that looks like a secret, masked.

    Where its login isn't encoded, so that nobody can say where the password ends, all of the login is.
    """
    if login_is_cut(url):
        scheme, _, rest = url.partition("://")
        url = f"{scheme}://{MASK}@{rest.rpartition('@')[2]}"
    parts = urlsplit(url)
    login, at, host = parts.netloc.rpartition("@")
    name, colon, _ = login.partition(":")
    netloc = f"{name}{colon}{MASK if colon else ''}{at}{host}"
    query = [(key, MASK if _is_secret(key) else value) for key, value in parse_qsl(parts.query, keep_blank_values=True)]
    return urlunsplit((parts.scheme, netloc, parts.path, urlencode(query, safe="*/:,"), parts.fragment))


def _is_secret(key: str) -> bool:
    return any(word in key.lower() for word in ("pass", "secret", "token", "key", "sig"))
