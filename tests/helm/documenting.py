"""Makes the chart's README and values.schema.json of the comments in values.yaml and of Poplar's own Settings.

`make chart-docs` runs it, and a test fails while what it makes differs from what is there. Owns the little language in
the comments: `@schema` with a JSON Schema as YAML, `@shape` with the name of one below, `@settings` with a part of
Settings.
"""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from tests.helm.settings_schema import described, part_of_settings

ROOT = Path(__file__).parents[2]
CHART = ROOT / "helm" / "poplar"
TEMPLATE = ROOT / "helm" / "README.md.in"
ADDRESS = {"type": "string", "minLength": 1}
TEXTS = {"type": "object", "additionalProperties": {"type": "string"}}


Schema = dict[str, Any]


def closed(required: list[str] | None = None, **properties: Any) -> Schema:
    """An object that holds these and nothing else."""
    schema: Schema = {"type": "object", "additionalProperties": False, "properties": properties}
    return schema | ({"required": required} if required else {})


def listed(items: Mapping[str, object], **more: object) -> Schema:
    return {"type": "array", "items": items, **more}


QUANTITY = {
    "anyOf": [{"type": "string", "pattern": r"^[0-9]+(\.[0-9]+)?(m|k|[KMGT]i?)?$"}, {"type": "number", "minimum": 0}]
}
QUANTITIES = closed(None, **dict.fromkeys(("cpu", "memory", "ephemeral-storage"), QUANTITY))
EXPRESSION = closed(["key", "operator"], key=ADDRESS, operator={"enum": ["In", "NotIn", "Exists", "DoesNotExist"]},
                    values=listed({"type": "string"}))  # fmt: skip
SELECTOR = closed(matchLabels=TEXTS, matchExpressions=listed(EXPRESSION))
BLOCK = closed(["cidr"], cidr=ADDRESS, **{"except": listed(ADDRESS)})
PEERS = listed(closed(podSelector=SELECTOR, namespaceSelector=SELECTOR, ipBlock=BLOCK))
PORT = closed(
    port={"anyOf": [{"type": "integer"}, {"type": "string"}]}, endPort={"type": "integer"},
    protocol={"enum": ["TCP", "UDP", "SCTP"]},
)  # fmt: skip
REMOTE = closed(["key"], key=ADDRESS, property={"type": "string"}, version={"type": "string"})
SHAPES: dict[str, Schema] = {
    "texts": TEXTS,
    "resources": closed(requests=QUANTITIES, limits=QUANTITIES),
    "peers": PEERS,
    "egress": listed(closed(to=PEERS, ports=listed(PORT))),
    "tolerations": listed(
        closed(
            key={"type": "string"}, operator={"enum": ["Exists", "Equal"]}, value={"type": "string"},
            effect={"enum": ["NoSchedule", "PreferNoSchedule", "NoExecute"]}, tolerationSeconds={"type": "integer"},
        )
    ),
    "parentRefs": listed(closed(["name"], name=ADDRESS, namespace={"type": "string"}, sectionName={"type": "string"})),
    "externalSecrets": listed(
        closed(
            ["name", "storeRef", "data"], name=ADDRESS, refreshInterval={"type": "string"},
            storeRef=closed(["name"], name=ADDRESS, kind={"enum": ["SecretStore", "ClusterSecretStore"]}),
            data=listed(closed(["secretKey", "remoteRef"], secretKey=ADDRESS, remoteRef=REMOTE), minItems=1),
        )
    ),
}  # fmt: skip


class Entry(NamedTuple):
    """One key of values.yaml."""

    path: tuple[str, ...]
    default: Any
    meaning: str
    marks: dict[str, str]
    children: "list[Entry]"


def entries() -> list[Entry]:
    """The keys of values.yaml, in order."""
    text = (CHART / "values.yaml").read_text("utf-8")
    node = yaml.compose(text, yaml.SafeLoader)
    assert isinstance(node, yaml.MappingNode)
    return list(_entries(node, (), text.splitlines()))


def _entries(node: yaml.MappingNode, path: tuple[str, ...], lines: list[str]) -> Iterator[Entry]:
    for key, value in node.value:
        meaning, marks = _comment(lines, key.start_mark.line)
        here = (*path, key.value)
        below: list[Entry] = []
        if isinstance(value, yaml.MappingNode) and value.value and not marks:
            below = list(_entries(value, here, lines))
        yield Entry(here, yaml.safe_load(yaml.serialize(value)), meaning, marks, below)


def _comment(lines: list[str], line: int) -> tuple[str, dict[str, str]]:
    """The comment right above a line: its words, and its marks by name."""
    first = line
    while first and lines[first - 1].strip().startswith("#"):
        first -= 1
    texts = [each.strip().removeprefix("#").strip() for each in lines[first:line]]
    marks: dict[str, str] = dict(re.findall(r"^@(\w+) (.*)$", "\n".join(texts), re.MULTILINE))
    return " ".join(text for text in texts if not text.startswith("@")), marks


def schema() -> Schema:
    """values.schema.json."""
    properties = {entry.path[-1]: _schema(entry) for entry in entries()}
    head = {"$schema": "http://json-schema.org/draft-07/schema#", "title": "Values of the chart poplar"}
    return head | {"type": "object", "additionalProperties": False, "properties": properties}


def _schema(entry: Entry) -> Schema:
    said: Schema = {"description": entry.meaning} if entry.meaning else {}
    if "schema" in entry.marks:
        return dict(yaml.safe_load(entry.marks["schema"])) | said
    if "shape" in entry.marks:
        return SHAPES[entry.marks["shape"]] | said
    if "settings" in entry.marks:
        return part_of_settings(entry.marks["settings"]) | said
    if entry.children:
        return closed(None, **{child.path[-1]: _schema(child) for child in entry.children}) | said
    return {"type": _type(entry)} | said


def _type(entry: Entry) -> str:
    for kind, name in ((bool, "boolean"), (int, "integer"), (str, "string")):
        if isinstance(entry.default, kind):
            return name
    raise ValueError(f"{'.'.join(entry.path)}: its default doesn't tell what it may hold; add @schema or @shape")


def readme() -> str:
    """README.md."""
    text = TEMPLATE.read_text("utf-8")
    return text.replace("@values@", "\n".join(_tables())).replace("@settings@", "\n".join(_settings()))


def _tables() -> Iterator[str]:
    plain = [entry for entry in entries() if not entry.children]
    yield from _table(plain)
    for entry in entries():
        if entry.children:
            yield from ("", f"### {entry.path[0]}", "")
            if entry.meaning:
                yield from (entry.meaning, "")
            yield from _table(list(_leaves(entry)))


def _leaves(entry: Entry) -> Iterator[Entry]:
    for child in entry.children:
        yield from _leaves(child) if child.children else [child]


def _table(rows: list[Entry]) -> Iterator[str]:
    yield from ("| key | meaning | default |", "|---|---|---|")
    for row in rows:
        yield f"| `{'.'.join(row.path)}` | {_cell(row.meaning)} | `{json.dumps(row.default)}` |"


def _settings() -> Iterator[str]:
    yield from ("| key | meaning | default |", "|---|---|---|")
    for key, meaning, default in described():
        yield f"| `{key}` | {_cell(meaning)} | {f'`{default}`' if default else ''} |"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def made() -> dict[Path, str]:
    """What is made, by its place."""
    text = json.dumps(schema(), indent=1, ensure_ascii=False) + "\n"
    return {CHART / "values.schema.json": text, CHART / "README.md": readme()}


def main() -> None:
    """Make it."""
    for path, text in made().items():
        path.write_text(text, "utf-8")


if __name__ == "__main__":
    main()
