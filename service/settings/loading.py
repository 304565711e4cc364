"""Reads the environment and one YAML file into `Settings`, or says in plain words what is wrong.

Owns precedence (environment, then file, then default) and the search for unknown keys.
Refuses to repeat a value in an error: it may be a secret.
"""

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args, get_origin

from pydantic import ValidationError
from pydantic_settings import BaseSettings, EnvSettingsSource, SettingsConfigDict
from pydantic_settings.exceptions import SettingsError as SourceError

from service.settings.errors import Problem, SettingsError, complaints
from service.settings.files import read_file
from service.settings.schema import Settings
from service.settings.section import Section

PREFIX = "POPLAR_"
CONFIG = "POPLAR_CONFIG"


class _Environment(Settings, BaseSettings):
    """The shape in which pydantic-settings reads the environment; never made itself."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_nested_delimiter="__")


@dataclass(frozen=True, slots=True)
class Sources:
    """Settings together with what the file and the environment said."""

    settings: Settings
    path: Path | None
    file: Mapping[str, Any]
    environment: Mapping[str, Any]


def load_settings(config: Path | None = None) -> Settings:
    """The settings, from the environment and from `config` or the file that POPLAR_CONFIG names.

    Raises SettingsError, whose text names every wrong or unknown key.
    """
    return load(config).settings


def load(config: Path | None = None) -> Sources:
    """The settings and where they came from. Raises SettingsError."""
    path = config or (Path(os.environ[CONFIG]) if os.environ.get(CONFIG) else None)
    file = read_file(path) if path else {}
    problems = _unknown_variables(os.environ)
    environment = _environment()
    try:
        settings = Settings.model_validate(_merged(file, environment))
    except ValidationError as error:
        found = complaints(error, environment, path)
        told = "\n".join(map(str, found))
        raise SettingsError([each for each in problems if f"(set by {each.key})" not in told] + found) from None
    if problems:
        raise SettingsError(problems)
    return Sources(settings, path, file, environment)


def _merged(file: Mapping[str, Any], environment: Mapping[str, Any]) -> dict[str, Any]:
    """The file's keys with the environment's over them, group by group; a list is replaced whole."""
    merged = dict(file)
    for key, value in environment.items():
        below = merged.get(key)
        merged[key] = _merged(below, value) if isinstance(below, Mapping) and isinstance(value, Mapping) else value
    return merged


def _environment() -> Mapping[str, Any]:
    try:
        return EnvSettingsSource(_Environment)()
    except SourceError as error:
        named = re.search(r'field "(\w+)"', str(error))
        wrong = _not_json(PREFIX + named.group(1).upper()) if named else [f"a {PREFIX} variable"]
        raise SettingsError([Problem(variable, "must be JSON") for variable in wrong]) from None


def _not_json(variable: str) -> list[str]:
    """Those to blame, of `variable` and of all that set a part of it: the vendor names the whole alone."""
    below = (name for name in os.environ if name.upper() == variable or name.upper().startswith(f"{variable}__"))
    return [name for name in sorted(below) if _is_list_or_group(name) and not _is_json(os.environ[name])] or [variable]


def _is_list_or_group(variable: str) -> bool:
    kind = _kind(variable)
    kinds = (kind, *get_args(kind))
    return any(get_origin(each) is tuple or (isinstance(each, type) and issubclass(each, Section)) for each in kinds)


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def _unknown_variables(environ: Mapping[str, str]) -> list[Problem]:
    ours = (name for name in environ if name.upper().startswith(PREFIX) and name != CONFIG)
    return [
        Problem(name, "is no setting of Poplar's")
        for name in sorted(ours)
        if _kind(name) is None and not _is_service_link(name, environ[name])
    ]


def _kind(variable: str) -> Any:
    """The type of the setting that `variable` sets; None if it sets none."""
    model: Any = Settings
    for part in variable[len(PREFIX) :].lower().split("__"):
        fields = getattr(model, "model_fields", {})
        if part not in fields:
            return None
        model = fields[part].annotation
    return model


def _is_service_link(variable: str, value: str) -> bool:
    """Whether Kubernetes made this variable for a Service whose name begins with "poplar"."""
    if re.search(r"_SERVICE_(HOST|PORT(_\w+)?)$|_PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?$", variable):
        return "__" not in variable
    return variable.endswith("_PORT") and re.match(r"(tcp|udp|sctp)://", value) is not None
