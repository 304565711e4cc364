"""What UPGRADING.md says of TCPRoutes whose version the cluster gives up, with both Helms before a real API server.

Nothing need run: objects are made, and pods only asked for.
"""

import json
import os
import re
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.helm.charting import CHART, at, merged, values_of
from tests.helm.e2e.cluster import RELEASE, Cluster, cluster
from tests.helm.e2e.conftest import ON_A_CLUSTER
from tests.helm.programs import kubectl

pytestmark = ON_A_CLUSTER
DEFINITION = "tcproutes.gateway.networking.k8s.io"
OLD = "gateway.networking.k8s.io/v1alpha2"


@dataclass
class Routed:
    """A release with a TCPRoute, in a cluster that serves the older version or not."""

    there: Cluster
    caches: Path
    monkeypatch: pytest.MonkeyPatch

    def change(self, major: str, *verb: str, old: bool = False, enabled: bool = True) -> None:
        more = merged(at("gateway.tcpRoute.enabled", enabled), at("gateway.tcpRoute.apiVersion", OLD) if old else {})
        told = json.dumps(merged(values_of("gateway"), more))
        self.there.helm(
            *(verb or ("upgrade",)), RELEASE, str(CHART), "--no-hooks", "--values=-", major=major, told=told
        )

    def serve(self, old: bool) -> None:
        """As the experimental definitions do, or as the standard ones."""
        patch = [{"op": "replace", "path": "/spec/versions/1/served", "value": old}]
        self.there.kubectl("patch", "crd", DEFINITION, "--type=json", f"--patch={json.dumps(patch)}")
        self.known(old)

    def known(self, old: bool) -> None:
        """Wait until the API server tells so; whoever asks has forgotten what it told before."""
        end = time.monotonic() + 60
        while self._listed() != old:
            assert time.monotonic() < end, "it did not come about"
            time.sleep(0.2)
        self.monkeypatch.setenv("KUBECACHEDIR", str(self.caches / str(time.monotonic_ns())))

    def _listed(self) -> bool:
        groups = json.loads(self.there.kubectl("get", "--raw", "/apis/gateway.networking.k8s.io"))
        if OLD not in {version["groupVersion"] for version in groups["versions"]}:
            return False
        return '"tcproutes"' in self.there.kubectl("get", "--raw", f"/apis/{OLD}")


@pytest.fixture
def routed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Routed]:
    with cluster() as there:
        routed = Routed(there, tmp_path, monkeypatch)
        try:
            yield routed
        finally:
            routed.serve(old=False)


def said(beginning: str) -> str:
    """The page's command that begins so, without what is remarked of it."""
    page = (CHART / "UPGRADING.md").read_text("utf-8").replace("\\\n", "")
    (command,) = re.findall(rf"^ *({re.escape(beginning)} .*?)(?:  +#.*)?$", page, re.MULTILINE)
    return str(command)


def done(command: str, there: Cluster) -> str:
    environment = os.environ | {
        "KUBECONFIG": there.kubeconfig, "PATH": f"{kubectl().parent}{os.pathsep}{os.environ['PATH']}",
    }  # fmt: skip
    return subprocess.run(["sh", "-c", command], env=environment, text=True, capture_output=True, check=True).stdout


@pytest.mark.parametrize("major", ["3", "4"])
def test_a_version_of_routes_is_left_while_both_are_served(major: str, routed: Routed) -> None:
    routed.serve(old=True)
    routed.change(major, "install", old=True)
    routed.serve(old=False)
    for enabled in (True, False):
        with pytest.raises(AssertionError, match='no matches for kind "TCPRoute"'):
            routed.change(major, enabled=enabled)
    assert done(said(f"kubectl get crd {DEFINITION}"), routed.there) == "v1alpha2"
    done(said(f"kubectl patch crd {DEFINITION}"), routed.there)
    routed.known(old=True)
    routed.change(major)
    routed.serve(old=False)
    routed.change(major)


@pytest.mark.parametrize("major", ["3", "4"])
def test_a_version_of_routes_is_left_while_there_are_none(major: str, routed: Routed) -> None:
    routed.serve(old=True)
    routed.change(major, "install", old=True)
    routed.change(major, old=True, enabled=False)
    routed.serve(old=False)
    routed.change(major)
