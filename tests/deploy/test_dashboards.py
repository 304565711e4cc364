"""The committed dashboards: as the code makes them, of series that exist, with a way from each alert to its runbook."""

import re
from collections import Counter
from typing import Any

import pytest

from deploy.grafana.all import dashboards
from tests.deploy.dashboards import FOLDER, NAMES, TOP, all_asked, dashboard, panels
from tests.deploy.exported import RECORDED, exported, named
from tests.deploy.test_alerts import ALERTS, rules

README = TOP / "deploy" / "grafana" / "README.md"
UNITS = {"cps", "bytes", "Bps", "s", "percentunit", "short", "none", "dtdurations"}
each = pytest.mark.parametrize("name", NAMES)


def test_the_committed_dashboards_are_those_that_the_code_makes() -> None:
    made = dashboards()
    assert sorted(made) == NAMES
    stale = [name for name, text in made.items() if (FOLDER / f"{name}.json").read_text("utf-8") != text]
    assert stale == [], "run `make dashboards`"


def test_deploy_shows_the_same_files_as_the_chart() -> None:
    assert (TOP / "deploy" / "grafana" / "dashboards").resolve() == FOLDER.resolve()


def test_expressions_name_only_series_that_poplar_exports_or_that_the_rules_record() -> None:
    text = "\n".join(asked.expression for asked in all_asked())
    assert named(text) - exported() == set()
    assert set(RECORDED.findall(text)) - {rule.get("record") for rule in rules()} == set()


def linked(name: str) -> set[str]:
    """The alerts to whose runbooks a dashboard links."""
    links = [link["url"] for panel in panels(name) for link in panel.get("links", ())]
    return {url.removeprefix("${runbooks}/").removesuffix(".md") for url in links}


def test_every_alert_is_linked_from_a_panel_and_every_link_has_its_alert() -> None:
    assert sorted(set().union(*map(linked, NAMES))) == ALERTS


@each
def test_panels_and_their_queries_are_told_apart(name: str) -> None:
    ids = Counter(panel["id"] for panel in dashboard(name)["panels"])
    assert set(ids.values()) == {1}
    for panel in panels(name):
        letters = [target["refId"] for target in panel.get("targets", ())]
        assert len(set(letters)) == len(letters)


@each
def test_every_panel_has_a_title_and_a_unit(name: str) -> None:
    for panel in panels(name):
        assert panel["title"]
        if panel["type"] in {"timeseries", "stat", "bargauge"}:
            assert panel["fieldConfig"]["defaults"]["unit"] in UNITS, panel["title"]


@each
def test_panels_fill_their_rows_and_none_covers_another(name: str) -> None:
    taken: Counter[tuple[int, int]] = Counter()
    for panel in dashboard(name)["panels"]:
        place: dict[str, Any] = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        for x in range(place["x"], place["x"] + place["w"]):
            taken.update((x, y) for y in range(place["y"], place["y"] + place["h"]))
    assert set(taken.values()) == {1}
    assert len(taken) == 24 * (1 + max(y for _, y in taken))


@each
def test_no_panel_draws_a_line_for_each_process(name: str) -> None:
    for asked in (each for each in all_asked() if each.dashboard == name and "{{instance}}" in each.legend):
        assert asked.expression.startswith("topk(10,"), asked.panel


@each
def test_the_readme_shows_each_dashboard(name: str) -> None:
    text = README.read_text("utf-8")
    pictures = re.findall(r"!\[[^\]]+\]\((pictures/[\w-]+\.png)\)", text)
    assert f"pictures/{name}.png" in pictures
    assert (README.parent / "pictures" / f"{name}.png").read_bytes().startswith(b"\x89PNG")
