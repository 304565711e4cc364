"""What runbooks and rules refer to exists: metrics, recorded series, commands, settings, other runbooks."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from service.settings import Settings
from tests.deploy.exported import RECORDED, exported, named
from tests.deploy.test_alerts import ALERTS, RULES, RUNBOOKS

RUNBOOK = sorted(RUNBOOKS.glob("Poplar*.md"))
each = pytest.mark.parametrize("path", RUNBOOK, ids=lambda path: path.stem)


def blocks(path: Path, kind: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)\n```$", path.read_text("utf-8"), re.MULTILINE | re.DOTALL)


def test_rules_name_only_series_that_poplar_exports_or_that_they_record() -> None:
    text = "".join(path.read_text("utf-8") for path in RULES)
    groups = [group for path in RULES for group in yaml.safe_load(path.read_text("utf-8"))["groups"]]
    recorded = {rule["record"] for group in groups for rule in group["rules"] if "record" in rule}
    assert named(text) - exported() == set()
    assert set(RECORDED.findall(text)) == recorded


@each
def test_a_runbook_names_only_series_that_poplar_exports(path: Path) -> None:
    assert named(path.read_text("utf-8")) - exported() == set()
    assert blocks(path, "promql")


@each
def test_a_runbook_refers_only_to_alerts_that_exist(path: Path) -> None:
    assert set(re.findall(r"\bPoplar[A-Z]\w+", path.read_text("utf-8"))) - set(ALERTS) == set()


@each
def test_a_runbook_names_only_settings_that_exist(path: Path) -> None:
    sections = set(Settings.model_fields)
    for section, name in re.findall(r"`([a-z0-9_]+)\.([a-z_]+)`", path.read_text("utf-8")):
        assert section in sections, section
        assert name in type(getattr(Settings(), section)).model_fields, f"{section}.{name}"


def verbs() -> list[str]:
    """Every command of Poplar's that a runbook names."""
    text = "\n".join(path.read_text("utf-8") for path in RUNBOOK)
    return sorted(set(re.findall(r"\bpoplar ((?:[a-z-]+ ?){1,2})(?=[`\n-])", text)))


def test_every_command_in_a_runbook_is_one_of_poplars() -> None:
    found = [verb.split() for verb in verbs()]
    assert len(found) > 5
    for words in found:
        command = [sys.executable, "-m", "service", *words, "--help"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, (words, done.stderr)
