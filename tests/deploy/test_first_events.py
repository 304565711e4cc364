"""An alert on an increase fires for the first event too: what it counts is exported from the start, at 0."""

import re
import subprocess
import sys

import pytest

from tests.deploy.test_alerts import RULES

TEXT = "".join(path.read_text("utf-8") for path in RULES)
INCREASES = sorted(set(re.findall(r"increase\((poplar_\w+)(?:\{(.*?)\})?\[", TEXT)))
FRESH = """
import importlib, pkgutil
from prometheus_client import REGISTRY, generate_latest
from service import telemetry
for module in pkgutil.iter_modules(telemetry.__path__):
    importlib.import_module("service.telemetry." + module.name)
print(generate_latest(REGISTRY).decode())
"""


@pytest.fixture(scope="module")
def fresh() -> str:
    """What a process exports before anything has happened."""
    return subprocess.run([sys.executable, "-c", FRESH], capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize(("name", "where"), INCREASES)
def test_what_an_alert_takes_the_increase_of_is_there_before_it_first_happens(
    fresh: str, name: str, where: str
) -> None:
    lines = [line for line in fresh.splitlines() if re.match(rf"{name}[ {{]", line) and line.endswith(" 0.0")]
    # `!=` becomes what a line must not have.
    wanted = re.findall(r'(\w+)=("[^"]*")', where)
    unwanted = re.findall(r'(\w+)!=("[^"]*")', where)
    kept = [line for line in lines if all(f"{label}={value}" in line for label, value in wanted)]
    assert [line for line in kept if not any(f"{label}={value}" in line for label, value in unwanted)]
