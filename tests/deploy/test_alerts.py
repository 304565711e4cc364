"""The shipped rules by promtool: they are sound, each alert fires where it should and is silent where it should."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.alert_cases import CASES, Series

TOP = Path(__file__).parents[2]
RULES = sorted((TOP / "helm" / "poplar" / "files" / "rules").glob("*.yaml"))
RUNBOOKS = TOP / "deploy" / "runbooks"
SECTIONS = ["## Meaning", "## Impact", "## Diagnosis", "## Mitigation"]


def promtool(*arguments: str) -> "subprocess.CompletedProcess[str]":
    if (program := shutil.which("promtool")) is None:
        pytest.skip("promtool is not installed (Debian: prometheus)")
    return subprocess.run([program, *arguments], capture_output=True, text=True, check=False)


def rules() -> list[dict[str, Any]]:
    return [rule for path in RULES for group in yaml.safe_load(path.read_text())["groups"] for rule in group["rules"]]


ALERTS = sorted({rule["alert"] for rule in rules() if "alert" in rule})


def test_the_rules_are_sound() -> None:
    done = promtool("check", "rules", *map(str, RULES))
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_has_its_cases_and_every_case_its_alert() -> None:
    assert len(ALERTS) >= 14
    assert sorted(CASES) == ALERTS


def verdict(folder: Path, alert: str, series: Series, at: str) -> bool:
    """Whether the alert fires at that time, by promtool's own evaluation."""
    test = {
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "alert_rule_test": [{"eval_time": at, "alertname": alert, "exp_alerts": []}],
    }
    path = folder / "case.yaml"
    path.write_text(yaml.safe_dump({"rule_files": list(map(str, RULES)), "evaluation_interval": "1m", "tests": [test]}))
    done = promtool("test", "rules", str(path))
    assert done.returncode == 0 or "got:[" in re.sub(r"\s", "", done.stdout + done.stderr), done.stderr
    return done.returncode != 0


@pytest.mark.parametrize("alert", ALERTS)
def test_an_alert_fires_for_its_fault_and_for_nothing_else(alert: str, tmp_path: Path) -> None:
    case = CASES[alert]
    for fault in (case.fires, *case.also):
        assert verdict(tmp_path, alert, fault, case.at)
    assert not verdict(tmp_path, alert, case.silent, case.at)


@pytest.mark.parametrize("alert", ALERTS)
def test_every_alert_has_a_runbook_with_its_four_parts(alert: str) -> None:
    text = (RUNBOOKS / f"{alert}.md").read_text()
    assert text.startswith(f"# {alert}\n")
    assert re.findall(r"^## .*$", text, re.MULTILINE) == SECTIONS
    assert {rule["annotations"]["runbook"] for rule in rules() if rule.get("alert") == alert} == {f"{alert}.md"}


def test_every_runbook_has_its_alert() -> None:
    assert sorted(path.stem for path in RUNBOOKS.glob("Poplar*.md")) == ALERTS
