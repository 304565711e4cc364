"""The chart's pages say what the chart is.

That they are as `make chart-docs` makes them is proved in `test_settings.py`, where whoever adds a setting sees it.
"""

import json
import re

from tests.helm.charting import CHART
from tests.helm.documenting import Entry, entries, schema
from tests.helm.settings_schema import described, part_of_settings


def every(of: list[Entry]) -> list[Entry]:
    return [each for entry in of for each in (entry, *every(entry.children))]


def test_every_value_says_what_it_is() -> None:
    silent = [".".join(each.path) for each in every(entries()) if not each.children and not each.meaning]
    assert silent == []


def test_every_object_in_the_schema_is_closed_but_global_affinity_and_the_files_of_poplar_apply() -> None:
    found: list[str] = []

    def look(node: object, place: str) -> None:
        if isinstance(node, dict):
            if node.get("type") == "object" and "additionalProperties" not in node:
                found.append(place)
            for key, below in node.items():
                look(below, f"{place}.{key}".removeprefix("."))

    look(schema()["properties"], "")
    assert found == ["global", "tenants.properties.files.additionalProperties", "pod.properties.affinity"]


def test_no_setting_that_is_a_secret_stands_in_values() -> None:
    text = json.dumps([part_of_settings("rest"), part_of_settings("limits")])
    assert "writeOnly" not in text
    assert not re.search(r'"(\w*_url|access_key|secret_key|scram_secret)"', text)
    assert "hashing.scram_secret" in json.dumps(part_of_settings("secrets"))


def test_every_setting_is_said_once_in_the_readme() -> None:
    text = (CHART / "README.md").read_text("utf-8")
    for key, _, _ in described():
        assert text.count(f"| `{key}` |") == 1
