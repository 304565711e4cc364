"""On a real cluster: installation, `helm test`, updates under load, autoscaler, eviction, rollback, schema to and fro.

Runs where POPLAR_E2E_KUBECONFIG names a cluster (`cluster.py` says what else is needed), and skips elsewhere.
"""

import json
import os
import poplib
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from service.embedded.process import free_port
from tests.helm.e2e.cluster import RELEASE, Cluster, cluster
from tests.helm.e2e.load import WORKERS, sessions
from tests.helm.programs import kubectl

pytestmark = [
    pytest.mark.skipif("POPLAR_E2E_KUBECONFIG" not in os.environ, reason="POPLAR_E2E_KUBECONFIG names no cluster"),
    pytest.mark.timeout(1800),
    pytest.mark.xdist_group("cluster"),
]
PASSWORD = "a pass word of many tests"
ACCOUNTS = [f"load{number}@e2e.example" for number in range(WORKERS)]
TENANTS = {
    "tenants": {
        "e2e": {
            "domains": {"e2e.example": {}},
            "maildrops": {
                address: {"credentials": {"main": {"password_file": "/etc/poplar/secrets/load/password"}}}
                for address in ACCOUNTS
            },
        }
    }
}
FEW = {"drain": {"preStopSeconds": 5, "sessionGraceSeconds": 30}, "frontEnd": {"replicas": 3}}


@pytest.fixture(scope="module")
def installed() -> Iterator[Cluster]:
    with cluster() as there:
        secret = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "load"},
            "stringData": {"password": PASSWORD},
        }
        there.kubectl("create", "-f", "-", told=json.dumps(secret))
        there.values.update(
            FEW
            | {
                "tenants": {"enabled": True, "files": {"e2e.yaml": TENANTS}, "secretNames": ["load"]},
                "service": {"pop3": {"type": "ClusterIP"}, "pop3s": {"type": "ClusterIP"}},
                "tests": {"login": {"secretName": "load"}},
            }
        )
        there.upgrade()
        yield there


@contextmanager
def clients(there: Cluster) -> Iterator[Callable[[int], poplib.POP3]]:
    """A way to log in through the Service: its node port, or a forwarded port of each ready pod in turn."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with forwarding(there) as port_of:

        def connect(number: int) -> poplib.POP3:
            client = poplib.POP3_SSL("127.0.0.1", port_of(), context=context, timeout=60)
            client.user(ACCOUNTS[number])
            client.pass_(PASSWORD)
            return client

        yield connect


@contextmanager
def forwarding(there: Cluster) -> Iterator[Callable[[], int]]:
    """Gives a local port that leads to a ready pod, a new one for pods that come."""
    running: dict[str, tuple[subprocess.Popen[bytes], int]] = {}
    turn = 0

    def port_of() -> int:
        nonlocal turn
        turn += 1
        ready = [pod["metadata"]["name"] for pod in there.pods("pop3") if is_ready(pod)]
        name = ready[turn % len(ready)]
        if name not in running or running[name][0].poll() is not None:
            running[name] = forward(there, name)
        return running[name][1]

    try:
        yield port_of
    finally:
        for process, _ in running.values():
            process.terminate()
            process.wait()


def forward(there: Cluster, pod: str) -> "tuple[subprocess.Popen[bytes], int]":
    port = free_port()
    place = [f"--kubeconfig={there.kubeconfig}", f"--namespace={there.namespace}"]
    process = subprocess.Popen(
        [kubectl(), *place, "port-forward", f"pod/{pod}", f"{port}:pop3s"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    process.stdout.readline()
    return process, port


def is_ready(pod: dict[str, dict[str, list[dict[str, str]]]]) -> bool:
    return any(each["type"] == "Ready" and each["status"] == "True" for each in pod["status"].get("conditions", []))


def wait_until(true: Callable[[], bool], seconds: float = 300) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(1)


def test_it_stands_in_a_restricted_namespace_and_passes_its_own_test(installed: Cluster) -> None:
    said = installed.helm("test", RELEASE, "--logs", "--timeout=5m")
    assert said.count("QUIT: +OK") == 2
    assert "STAT: " in said
    assert "violates PodSecurity" not in installed.kubectl("get", "events", "--output=json")


def test_a_rolling_update_under_load_loses_no_session(installed: Cluster) -> None:
    before = {pod["metadata"]["name"] for pod in installed.pods("pop3")}
    with clients(installed) as connect, sessions(connect) as tally:
        wait_until(lambda: tally.done >= 2 * WORKERS)
        installed.upgrade({"pod": {"annotations": {"rolled": "once"}}})
        installed.rolled_out()
        after = tally.done
        wait_until(lambda: tally.done >= after + 2 * WORKERS)
    assert tally.lost == []
    assert not before & {pod["metadata"]["name"] for pod in installed.pods("pop3")}


def test_an_eviction_leaves_the_others_and_loses_no_session(installed: Cluster) -> None:
    pod = installed.pods("pop3")[0]["metadata"]["name"]
    eviction = {
        "apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod, "namespace": installed.namespace},
    }  # fmt: skip
    place = f"/api/v1/namespaces/{installed.namespace}/pods/{pod}/eviction"
    with clients(installed) as connect, sessions(connect) as tally:
        wait_until(lambda: tally.done >= WORKERS)
        installed.kubectl("create", "--raw", place, "-f", "-", told=json.dumps(eviction))
        wait_until(lambda: pod not in {each["metadata"]["name"] for each in installed.pods("pop3")})
        installed.rolled_out()
    assert tally.lost == []


def test_an_autoscaler_takes_over_without_losing_pods_and_gives_back(installed: Cluster) -> None:
    """As UPGRADING.md says."""
    few = installed.replicas()
    held = {
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": f"{RELEASE}-pop3"},
        "spec": {"replicas": few},
    }  # fmt: skip
    hand = ["apply", "--server-side", "--field-manager=handover", "--force-conflicts", "-f", "-"]
    installed.kubectl(*hand, told=json.dumps(held))
    least: list[int] = []
    scale = {"autoscaling": {"type": "hpa", "minReplicas": few, "maxReplicas": few + 2, "sessionsPerPod": 0}}
    installed.upgrade(scale)
    for _ in range(60):
        least.append(installed.replicas())
        time.sleep(1)
    assert min(least) >= few
    installed.upgrade()
    assert installed.replicas() == few


def test_a_rollback_brings_the_former_release_back(installed: Cluster) -> None:
    installed.upgrade({"config": {"hostname": "other.example"}})
    installed.helm("rollback", RELEASE, "--wait", "--timeout=10m")
    text = installed.get("configmap", RELEASE)["data"]["poplar.yaml"]
    assert "other.example" not in text
    assert "STAT: " in installed.helm("test", RELEASE, "--logs", "--timeout=5m")


def test_wrong_settings_stop_an_upgrade_before_any_pod_is_replaced(installed: Cluster) -> None:
    before = {pod["metadata"]["name"] for pod in installed.pods("pop3")}
    with pytest.raises(AssertionError, match="migration"):
        installed.upgrade({"config": {"redis": {"lease_seconds": 10, "renew_every": 9}}})
    assert {pod["metadata"]["name"] for pod in installed.pods("pop3")} == before
    installed.upgrade()


@pytest.mark.skipif(
    "POPLAR_E2E_FORMER_CHART" not in os.environ, reason="POPLAR_E2E_FORMER_CHART names no release before"
)
def test_the_schema_serves_this_release_and_the_one_before(installed: Cluster) -> None:
    """POPLAR_E2E_FORMER_CHART is a package; its appVersion is the tag of the former image in the same repository."""
    former = os.environ["POPLAR_E2E_FORMER_CHART"]
    with clients(installed) as connect, sessions(connect) as tally:
        for chart, more in ((former, {"image": {"tag": ""}}), (None, {})):
            installed.upgrade(more, chart) if chart else installed.upgrade(more)
            installed.rolled_out()
            assert "STAT: " in installed.helm("test", RELEASE, "--logs", "--timeout=5m")
    assert tally.lost == []
