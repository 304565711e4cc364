"""What must hold from release to release: selectors stay, a package is the same octets, commands are the program's."""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
import yaml

from service.telemetry.build import VERSION
from tests.helm.charting import CHART, EXAMPLES, LEAST, Object, Rendered, merged, package, render, run, values_of

SELECTORS = {
    "Deployment/r-poplar-pop3": "pop3",
    "Deployment/r-poplar-lmtp": "lmtp",
    "Deployment/r-poplar-admin": "admin",
    "Deployment/r-poplar-sweep": "sweep",
}
"""What was installed once. Kubernetes lets nobody change it: another word here breaks every upgrade."""


def selectors(rendered: Rendered) -> dict[str, object]:
    return {f"Deployment/{name}": each["spec"]["selector"] for name, each in rendered.of("Deployment").items()}


def installed_once() -> dict[str, object]:
    labels = {"app.kubernetes.io/name": "poplar", "app.kubernetes.io/instance": "r"}
    return {name: {"matchLabels": labels | {"app.kubernetes.io/component": part}} for name, part in SELECTORS.items()}


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"image": {"tag": "9.9.9"}},
        {"commonLabels": {"app": "x"}, "pod": {"labels": {"app": "y"}}},
        {"autoscaling": {"type": "hpa"}},
        {"listeners": {"pop3": {"enabled": False}}},
        {"frontEnd": {"replicas": 1}, "config": {"hostname": "other"}},
    ],
    ids=str,
)
def test_selectors_stay_whatever_is_configured(change: dict[str, object]) -> None:
    assert selectors(render(merged(LEAST, change))) == installed_once()


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    chart = tmp_path / "poplar"
    shutil.copytree(CHART, chart)
    return chart


def test_selectors_and_pods_stay_over_releases_of_the_chart(copy: Path) -> None:
    text = (copy / "Chart.yaml").read_text("utf-8")
    (copy / "Chart.yaml").write_text(text.replace("\nversion: 0.1.0", "\nversion: 7.8.9"), "utf-8")
    values = f"--values={EXAMPLES['default']}"
    said = run("4", "template", "r", str(copy), "--namespace=mail", values)
    later = Rendered([each for each in yaml.safe_load_all(said) if each])
    assert later.one("Deployment", "-pop3")["metadata"]["labels"]["helm.sh/chart"] == "poplar-7.8.9"
    assert selectors(later) == installed_once()
    # Nor is a pod replaced by a chart that changes nothing of it.
    assert templates(later) == templates(render())


def templates(rendered: Rendered) -> dict[str, Object]:
    return {name: each["spec"]["template"] for name, each in rendered.of("Deployment").items()}


def test_two_packages_of_one_chart_have_the_same_digest(copy: Path, tmp_path: Path) -> None:
    for path in [*copy.rglob("*"), copy]:
        os.utime(path, (1_700_000_000, 1_700_000_000))
    first = package(copy, tmp_path / "first")
    shutil.copytree(copy, tmp_path / "again" / "poplar", copy_function=shutil.copy2)
    second = package(tmp_path / "again" / "poplar", tmp_path / "second")
    assert hashlib.sha256(first).digest() == hashlib.sha256(second).digest()


def test_a_package_holds_what_is_needed_and_no_examples(copy: Path, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    package(copy, folder)
    with tarfile.open(next(folder.glob("*.tgz"))) as packed:
        names = set(packed.getnames())
    assert {"poplar/Chart.yaml", "poplar/values.schema.json", "poplar/README.md", "poplar/UPGRADING.md"} <= names
    assert not [name for name in names if "/ci/" in name or "/crds/" in name or "/charts/" in name]


def test_the_chart_installs_the_version_it_stands_beside() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text("utf-8"))
    assert chart["appVersion"] == VERSION
    assert "dependencies" not in chart
    assert not (CHART / "crds").exists()


def poplar(*arguments: str) -> "subprocess.CompletedProcess[str]":
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("POPLAR_", "PROBE_"))}
    command = [sys.executable, "-m", "service", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)


def test_every_part_runs_a_command_that_there_is() -> None:
    pods = [*render(values_of("full")).pods().values(), *render(values_of("small")).pods().values()]
    verbs = {tuple(pod["spec"]["containers"][0]["args"]) for pod in pods if "volumes" in pod["spec"]}
    assert verbs == {
        ("serve",), ("lmtp",), ("api",), ("sweep", "--loop"), ("sweep",), ("migrate",),
        ("apply", "--file", "/etc/poplar/tenants"),
    }  # fmt: skip
    for verb in verbs:
        assert poplar(*verb, "--help").returncode == 0, verb


@pytest.mark.parametrize("example", ["default", "full", "gateway"])
def test_what_helm_test_says_is_understood(example: str) -> None:
    """With nobody there, the probes fail of that and of nothing else."""
    for pod in render(values_of(example)).of("Pod").values():
        arguments = [
            re.sub(r"^r-poplar-\w+:\d+$", "127.0.0.1:1", each) for each in pod["spec"]["containers"][0]["args"]
        ]
        assert "127.0.0.1:1" in arguments
        assert poplar(*arguments).stderr == "poplar: Connection refused\n"


def test_the_notes_name_ports_test_and_the_srv_records() -> None:
    """RFC 8314 §4: mail programs find `_pop3s` first."""
    example = f"--values={EXAMPLES['full']}"
    notes = run("4", "install", "r", str(CHART), "--namespace=mail", "--dry-run=client", example).partition("NOTES:")[2]
    assert "helm test r --namespace mail" in notes
    assert "r-poplar-pop3s, port 995 (LoadBalancer)" in notes
    assert "_pop3s._tcp IN SRV 0 1 995 pop.provider.example." in notes
    assert "_pop3._tcp  IN SRV 10 1 110 pop.provider.example." in notes
