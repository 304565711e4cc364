"""Every command of kubectl in the runbooks, as it stands there, in the namespace of a release that runs.

What each finds while its alert's fault is there is shown by tests/deploy/alarms. Here the cluster understands it: the
labels, the names of Deployments and the ports that it asks for exist, and the pod holds the programs.
"""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.deploy.alarms.runbook import commands, in_passing
from tests.deploy.test_alerts import ALERTS
from tests.helm.e2e.cluster import Cluster
from tests.helm.e2e.conftest import ACCOUNTS, ON_A_CLUSTER
from tests.helm.programs import kubectl

pytestmark = ON_A_CLUSTER
COMMANDS = sorted(
    text
    for text in {text for alert in ALERTS for text in (*in_passing(alert), *(c.text for c in commands(alert)))}
    if text.startswith("kubectl ")
)
FORWARDS = [text for text in COMMANDS if text.endswith(" &")]
OURS = {"anna@orchard.example": ACCOUNTS[0]}


@pytest.fixture
def shell(installed: Cluster, tmp_path: Path) -> dict[str, str]:
    """The environment of one on call, whose present context is the release's namespace."""
    shutil.copy(installed.kubeconfig, tmp_path / "kubeconfig")
    environment = dict(os.environ) | {
        "KUBECONFIG": str(tmp_path / "kubeconfig"),
        "PATH": f"{kubectl().parent}{os.pathsep}{os.environ['PATH']}",
    }
    here = ["config", "set-context", "--current", f"--namespace={installed.namespace}"]
    subprocess.run([str(kubectl()), *here], env=environment, check=True, capture_output=True)
    return environment


@pytest.mark.parametrize("text", [text for text in COMMANDS if text not in FORWARDS])
def test_the_cluster_understands_a_command_of_the_runbooks(text: str, shell: dict[str, str]) -> None:
    for theirs, ours in OURS.items():
        text = text.replace(theirs, ours)
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", text],
        env=shell, capture_output=True, text=True, check=False, timeout=180,
    )  # fmt: skip
    assert "rror from server" not in done.stderr
    assert "No resources found" not in done.stderr
    # Nothing is wrong here, so a filter of logs may find nothing.
    assert done.returncode in ({0, 1} if "| grep" in text else {0}), done.stdout + done.stderr


@pytest.mark.parametrize("text", FORWARDS)
def test_a_port_that_a_runbook_forwards_answers(text: str, shell: dict[str, str]) -> None:
    with forwarding(text.removesuffix(" &"), shell):
        port = text.split()[-2].partition(":")[0]
        asked = ["curl", "-fsS", "--max-time", "5", f"http://127.0.0.1:{port}/livez"]
        assert subprocess.run(asked, check=True, capture_output=True, timeout=60).stdout


@contextmanager
def forwarding(text: str, shell: dict[str, str]) -> Iterator[None]:
    process = subprocess.Popen(text.split(), env=shell, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("Forwarding from")
        yield
    finally:
        process.terminate()
        process.wait()
