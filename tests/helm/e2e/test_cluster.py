"""On a real cluster: installation, `helm test`, updates under load, autoscaler, eviction, rollback, schema to and fro.

Runs where POPLAR_E2E_KUBECONFIG names a cluster (`cluster.py` says what else is needed), and skips elsewhere.
"""

import json
import os
import time
from collections.abc import Callable

import pytest

from tests.helm.charting import CHART
from tests.helm.e2e.cluster import RELEASE, Cluster
from tests.helm.e2e.conftest import ACCOUNTS, ON_A_CLUSTER, PASSWORD
from tests.helm.e2e.load import WORKERS, sessions
from tests.helm.e2e.reaching import clients_of

pytestmark = ON_A_CLUSTER
Tell = Callable[[object], None]


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


def test_a_rolling_update_under_load_loses_no_session(installed: Cluster, tell: Tell) -> None:
    before = {pod["metadata"]["name"] for pod in installed.pods("pop3")}
    with clients_of(installed, ACCOUNTS, PASSWORD) as connect, sessions(connect) as tally:
        wait_until(lambda: tally.done >= 2 * WORKERS)
        installed.upgrade({"pod": {"annotations": {"rolled": "once"}}})
        installed.rolled_out()
        after = tally.done
        wait_until(lambda: tally.done >= after + 2 * WORKERS)
    tell(tally)
    assert tally.lost == []
    assert not before & {pod["metadata"]["name"] for pod in installed.pods("pop3")}


def test_an_eviction_leaves_the_others_and_loses_no_session(installed: Cluster, tell: Tell) -> None:
    pod = installed.pods("pop3")[0]["metadata"]["name"]
    eviction = {
        "apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod, "namespace": installed.namespace},
    }  # fmt: skip
    place = f"/api/v1/namespaces/{installed.namespace}/pods/{pod}/eviction"
    with clients_of(installed, ACCOUNTS, PASSWORD) as connect, sessions(connect) as tally:
        wait_until(lambda: tally.done >= WORKERS)
        installed.kubectl("create", "--raw", place, "-f", "-", told=json.dumps(eviction))
        wait_until(lambda: pod not in {each["metadata"]["name"] for each in installed.pods("pop3")})
        installed.rolled_out()
    tell(tally)
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
    with pytest.raises(AssertionError, match="conflict"):
        installed.upgrade({"frontEnd": {"replicas": few + 1}})
    installed.upgrade({"frontEnd": {"replicas": few + 1}}, "--force-conflicts")
    assert installed.replicas() == few + 1
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
def test_the_schema_serves_this_release_and_the_one_before(installed: Cluster, tell: Tell) -> None:
    """POPLAR_E2E_FORMER_CHART is a package; its appVersion is the tag of the former image in the same repository."""
    former = os.environ["POPLAR_E2E_FORMER_CHART"]
    with clients_of(installed, ACCOUNTS, PASSWORD) as connect, sessions(connect) as tally:
        for chart, more in ((former, {"image": {"tag": ""}}), (str(CHART), {})):
            installed.upgrade(more, chart=chart)
            installed.rolled_out()
            assert "STAT: " in installed.helm("test", RELEASE, "--logs", "--timeout=5m")
    tell(tally)
    assert tally.lost == []
