"""Drills: a real fault fires the shipped alert, and its runbook's commands find it. `make alarms` has all of them."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.backends.demo import RunningDemo
from tests.deploy.alarms.ground import Ground
from tests.deploy.alarms.runbook import commands, in_passing
from tests.deploy.alarms.running import carry_out, paired
from tests.deploy.alarms.scaled import scaled
from tests.deploy.alarms.table import DRILLS
from tests.deploy.test_alerts import ALERTS, RULES

QUICK = ["PoplarMessageDamaged", "PoplarCertificateNotLoaded"]
NOWHERE = "--server=http://127.0.0.1:1"
KUBECTL = sorted({text for alert in ALERTS for text in (*in_passing(alert), *(c.text for c in commands(alert)))})


@pytest.fixture(scope="module")
def place(demo: RunningDemo, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    """The demo of other tests too: only drills that leave its systems alone are for here."""
    with ExitStack() as stack:
        yield Ground(tmp_path_factory.mktemp("alarms"), demo, stack)


@pytest.mark.timeout(200)
@pytest.mark.parametrize("name", QUICK)
def test_an_alert_fires_by_its_fault_its_runbook_finds_it_and_mending_ends_it(name: str, place: Ground) -> None:
    result = carry_out(name, DRILLS[name], place, lambda _text: None)
    assert [ran.code for ran in result.ran if ran.code is not None]


def test_every_alert_has_a_drill() -> None:
    assert sorted({name.partition("/")[0] for name in DRILLS}) == ALERTS


@pytest.mark.parametrize("name", DRILLS)
def test_a_drill_expects_something_of_each_command_of_its_runbook(name: str) -> None:
    assert paired(name.partition("/")[0], DRILLS[name])


def test_only_times_are_shorter_in_a_drill() -> None:
    assert scaled("rate(a[5m]) * 600 > 20") == "rate(a[5s]) * 600 > 20"
    assert scaled("time() - max(b) > 3 * 3600 and c:d:rate5m > 14.4 * 0.001") == (
        "time() - max(b) > 3 * 60 and c:d:rate5m > 14.4 * 0.001"
    )
    assert scaled("x < 14 * 86400\n        for: 1h\n") == "x < 14 * 1440\n        for: 60s\n"
    for path in RULES:
        assert "[3d]" not in scaled(path.read_text("utf-8"))


@pytest.mark.parametrize("text", [text for text in KUBECTL if text.startswith("kubectl ")])
def test_kubectl_understands_what_runbooks_ask_of_it(text: str) -> None:
    """Without a cluster it gets as far as looking for one."""
    if (program := shutil.which("kubectl")) is None:
        pytest.skip("kubectl is not installed")
    asked = text.removesuffix(" &").replace("kubectl ", f"{program} {NOWHERE} ", 1)
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", asked], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode != 0
    assert "refused" in done.stderr, done.stderr
