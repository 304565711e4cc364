"""Reads the YAML file.

Owns what a settings file may look like: one group of keys, each written once.
Refuses to know which keys there are.
"""

from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

from service.settings.errors import Problem, SettingsError

# PyYAML lets through what Python says of a value that isn't of its kind: `!!int x`, `!!bool x`, or the day 2026-13-99.
_UNREADABLE = (yaml.YAMLError, ValueError, LookupError, AttributeError, RecursionError)


class _Loader(yaml.SafeLoader):
    """SafeLoader that refuses a key written twice, where PyYAML would keep the last one in silence."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for key in keys:
            if keys.count(key) > 1:
                raise yaml.constructor.ConstructorError(None, None, f"{key} is written twice", node.start_mark)
        return super().construct_mapping(node, deep)


def read_file(path: Path) -> dict[str, Any]:
    """The keys in the file at `path`. Raises SettingsError when it can't be read or isn't such a file."""
    try:
        content = yaml.load(path.read_text("utf-8"), _Loader)  # noqa: S506 - a SafeLoader
    except OSError as error:
        raise SettingsError([Problem(str(path), f"can't be read: {error.strerror}")]) from None
    except _UNREADABLE as error:
        raise SettingsError([Problem(str(path), f"is not valid YAML{_where(error)}")]) from None
    if content is None:
        return {}
    if not isinstance(content, dict) or not all(isinstance(key, str) for key in content):
        raise SettingsError([Problem(str(path), "must contain groups of settings, such as `http:`")])
    return content


def _where(error: Exception) -> str:
    if not isinstance(error, yaml.MarkedYAMLError) or error.problem_mark is None:
        return ""
    return f", line {error.problem_mark.line + 1}: {error.problem}"
