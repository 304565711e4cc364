"""A real cluster: a namespace with Pod Security `restricted`, what Poplar needs in it, Helm and kubectl to work there.

Owns the cluster's preparation and its end. POPLAR_E2E_KUBECONFIG names the cluster; POPLAR_E2E_IMAGE the image there
(`repository:tag`), POPLAR_E2E_BACKENDS a YAML file of Secrets and values for a Postgres, a Redis and a bucket that it
reaches: `{secrets: {NAME: {KEY: TEXT}}, values: {...}}`, one of the Secrets called `certificate`. The cluster must know
the kinds of `tests/cluster/definitions.py`.
"""

import base64
import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any
from uuid import uuid4

import yaml

from tests.helm.charting import CHART, merged
from tests.helm.programs import helm, kubectl

RELEASE = "poplar"
RESTRICTED = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn", "audit")}


@dataclass(frozen=True)
class Cluster:
    """A namespace of its own in the cluster, in which everything happens."""

    kubeconfig: str
    namespace: str
    values: dict[str, Any]

    def kubectl(self, *arguments: str, told: str = "", seconds: float = 300) -> str:
        return self._run([str(kubectl()), *arguments], told, seconds)

    def helm(self, *arguments: str, major: str = "4", told: str = "", seconds: float = 900) -> str:
        return self._run([str(helm(major)), *arguments], told, seconds)

    def _run(self, command: list[str], told: str, seconds: float) -> str:
        place = [f"--kubeconfig={self.kubeconfig}", f"--namespace={self.namespace}"]
        done = subprocess.run(
            [command[0], *place, *command[1:]], input=told, capture_output=True, text=True, timeout=seconds, check=False
        )
        assert done.returncode == 0, f"{' '.join(command[:3])}\n{done.stdout}\n{done.stderr}"
        return done.stdout + done.stderr

    def upgrade(self, more: dict[str, Any] | None = None, *options: str, chart: str = str(CHART)) -> str:
        """Install or upgrade the release, and wait until it stands."""
        values = json.dumps(merged(self.values, more or {}))
        verb = ["upgrade", "--install", RELEASE, chart, "--values=-", "--wait", "--timeout=10m"]
        return self.helm(*verb, *options, told=values)

    def get(self, kind: str, name: str = "", selector: str = "") -> dict[str, Any]:
        chosen = [name] if name else [f"--selector={selector}"]
        return dict(json.loads(self.kubectl("get", kind, *chosen, "--output=json")))

    def pods(self, component: str) -> list[dict[str, Any]]:
        """The pods of a part that don't end."""
        found = self.get("pods", selector=f"app.kubernetes.io/component={component}")["items"]
        return [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]

    def replicas(self) -> int:
        return int(self.get("deployment", f"{RELEASE}-pop3")["spec"]["replicas"])

    def rolled_out(self, name: str = f"{RELEASE}-pop3") -> None:
        self.kubectl("rollout", "status", f"deployment/{name}", "--timeout=5m", seconds=400)


@contextmanager
def cluster(more: Mapping[str, Any] = MappingProxyType({})) -> Iterator[Cluster]:
    """The cluster, with Secrets and nothing else in a new namespace; the namespace is removed in the end."""
    backends = yaml.safe_load(_file("POPLAR_E2E_BACKENDS"))
    repository, _, tag = os.environ["POPLAR_E2E_IMAGE"].rpartition(":")
    values = merged(merged(backends["values"], {"image": {"repository": repository, "tag": tag}}), more)
    there = Cluster(os.environ["POPLAR_E2E_KUBECONFIG"], f"poplar-e2e-{uuid4().hex[:8]}", values)
    namespace = {"name": there.namespace, "labels": RESTRICTED}
    there.kubectl(
        "create", "-f", "-", told=json.dumps({"apiVersion": "v1", "kind": "Namespace", "metadata": namespace})
    )
    try:
        there.kubectl("wait", "--for=create", "serviceaccount/default", "--timeout=60s")
        for name, texts in backends["secrets"].items():
            there.kubectl("create", "-f", "-", told=json.dumps(_secret(name, texts)))
        yield there
    finally:
        there.kubectl("delete", "namespace", there.namespace, "--wait=false")


def _file(variable: str) -> str:
    with open(os.environ[variable], encoding="utf-8") as file:  # noqa: PTH123 - a path of the caller's
        return file.read()


def _secret(name: str, texts: dict[str, str]) -> dict[str, Any]:
    encoded = {key: base64.b64encode(text.encode()).decode() for key, text in texts.items()}
    kind = "kubernetes.io/tls" if "tls.crt" in texts else "Opaque"
    return {"apiVersion": "v1", "kind": "Secret", "type": kind, "metadata": {"name": name}, "data": encoded}
