"""What of Poplar's Settings the chart's `config`, `limits` and `secretSettings` may hold, as JSON Schema and a table.

Owns which settings other keys of the chart set, and that no secret stands in values. So a setting that Poplar gets is
known to the chart once `make chart-docs` has run, and a misspelt one is refused before anything is installed.
"""

from collections.abc import Iterator
from typing import Any

from service.settings import Settings
from service.settings.explaining import Explained, explain
from service.settings.loading import Sources
from service.settings.meanings import meanings
from service.settings.section import Section

OWNED = {
    "listeners",
    "http",
    "drain",
    "limits",
    "tls.directory",
    "object_store.url",
    "object_store.endpoint",
    "object_store.region",
    "object_store.account",
}
"""Settings that other keys of the chart set."""


def part_of_settings(part: str) -> dict[str, Any]:
    """The schema of `limits`, of the `rest` or of the list of `secrets`."""
    whole = _whole()
    if part == "limits":
        return _plain(whole["properties"]["limits"], whole["$defs"], ("limits",))
    if part == "rest":
        return _plain(whole, whole["$defs"], ())
    text = {"type": "string", "minLength": 1}
    keys = {"setting": {"enum": sorted(_secrets(whole, whole["$defs"], ()))}, "secretName": text, "key": text}
    item = {"type": "object", "additionalProperties": False, "required": sorted(keys), "properties": keys}
    return {"type": "array", "items": item}


def _whole() -> dict[str, Any]:
    """The schema of all settings, with what each means."""
    whole = Settings.model_json_schema()
    sections: list[type[Section]] = [Settings, *Section.__subclasses__()]
    for section in sections:
        schema = whole if section is Settings else whole["$defs"].get(section.__name__, {"properties": {}})
        for name, meaning in meanings(section).items():
            if name in schema["properties"]:
                said = schema["properties"][name] | {"description": meaning}
                schema["properties"][name] = dict(sorted(said.items()))
    return whole


def described() -> list[tuple[str, str, str]]:
    """Key of the chart, meaning and default of each setting that `config` and `limits` may hold."""
    rows, rest = explain(Sources(Settings(), None, {}, {})), part_of_settings("rest")
    return [(_key(row), row.meaning, row.default) for row in rows if _may_stand(row.key, rest)]


def _key(row: Explained) -> str:
    return row.key if row.key.startswith("limits.") else f"config.{row.key}"


def _may_stand(key: str, rest: dict[str, Any]) -> bool:
    if key.startswith("limits."):
        return True
    schema: Any = rest
    for name in key.split("."):
        schema = schema.get("properties", {}).get(name)
        if schema is None:
            return False
    return True


def _plain(schema: dict[str, Any], defs: dict[str, Any], place: tuple[str, ...]) -> dict[str, Any]:
    """The schema without references, titles and defaults, nulls, secrets and what other keys set."""
    schema = _resolved(schema, defs)
    if "properties" not in schema:
        return _leaf(schema, defs, place)
    kept = {}
    for name, below in schema["properties"].items():
        here = (*place, name)
        if ".".join(here) not in OWNED and not _is_secret(_resolved(below, defs), defs):
            kept[name] = _plain(below, defs, here)
    told = {"description": schema["description"]} if place and "description" in schema else {}
    required = [name for name in schema.get("required", []) if name in kept]
    return {"type": "object", "additionalProperties": False, "properties": kept, **told} | (
        {"required": required} if required else {}
    )


def _leaf(schema: dict[str, Any], defs: dict[str, Any], place: tuple[str, ...]) -> dict[str, Any]:
    plain = {key: value for key, value in schema.items() if key not in {"title", "default", "format", "examples"}}
    if "items" in plain:
        plain["items"] = _plain(plain["items"], defs, (*place, ""))
    if isinstance(plain.get("additionalProperties"), dict):
        plain["additionalProperties"] = _plain(plain["additionalProperties"], defs, (*place, ""))
    if "anyOf" in plain:
        kinds = [_plain(each, defs, (*place, "")) for each in plain.pop("anyOf") if each.get("type") != "null"]
        plain |= kinds[0] if len(kinds) == 1 else {"anyOf": kinds}
    return plain


def _resolved(schema: dict[str, Any], defs: dict[str, Any]) -> dict[str, Any]:
    if "$ref" not in schema:
        return schema
    said = {key: value for key, value in schema.items() if key not in {"$ref", "default"}}
    return {**defs[schema["$ref"].rpartition("/")[2]], **said}


def _is_secret(schema: dict[str, Any], defs: dict[str, Any]) -> bool:
    """Whether it is one, or a list of groups with one in it: the environment sets such a list as a whole."""
    if any(each.get("writeOnly") for each in (schema, *schema.get("anyOf", []))):
        return True
    item = _resolved(schema.get("items", {}), defs)
    return any(_is_secret(_resolved(each, defs), defs) for each in item.get("properties", {}).values())


def _secrets(schema: dict[str, Any], defs: dict[str, Any], place: tuple[str, ...]) -> Iterator[str]:
    """The secret settings that the environment can set, but for those that have keys of their own in the chart."""
    for name, below in schema.get("properties", {}).items():
        resolved = _resolved(below, defs)
        if place[:1] not in {("database",), ("redis",), ("object_store",)}:
            if _is_secret(resolved, defs):
                yield ".".join((*place, name))
            yield from _secrets(resolved, defs, (*place, name))
