"""Every pod meets Pod Security `restricted`, and nothing holds a secret's text or more rights than it needs."""

import json
from typing import Any

import pytest

from tests.helm.charting import EXAMPLES, Object, render, values_of

ALLOWED_VOLUMES = {"configMap", "secret", "emptyDir", "projected"}


def restricted(pod: Object) -> list[str]:
    """What a pod does against Kubernetes' Pod Security Standard `restricted`."""
    spec = pod["spec"]
    shared = ("hostNetwork", "hostPID", "hostIPC", "hostAliases", "shareProcessNamespace")
    wrong = [key for key in shared if spec.get(key)]
    kinds = {kind for volume in spec.get("volumes", []) for kind in volume if kind != "name"}
    wrong += sorted(kinds - ALLOWED_VOLUMES)
    of_pod = spec.get("securityContext", {})
    if of_pod.get("sysctls") or of_pod.get("supplementalGroups"):
        wrong.append("securityContext")
    for container in [*spec["containers"], *spec.get("initContainers", [])]:
        wrong += _of_container(container, of_pod)
    return wrong


def _of_container(container: dict[str, Any], of_pod: dict[str, Any]) -> list[str]:
    context = of_pod | container.get("securityContext", {})
    wanted = {
        "runAsNonRoot": True, "runAsUser": 10001, "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True,
        "seccompProfile": {"type": "RuntimeDefault"}, "capabilities": {"drop": ["ALL"]}, "privileged": None,
    }  # fmt: skip
    wrong = [key for key, value in wanted.items() if context.get(key) != value]
    return wrong + [f"port {port['containerPort']}" for port in container.get("ports", []) if "hostPort" in port]


@pytest.mark.parametrize("example", EXAMPLES)
def test_every_pod_is_restricted_and_has_no_token(example: str) -> None:
    for name, pod in render(values_of(example)).pods().items():
        assert restricted(pod) == [], name
        assert pod["spec"]["automountServiceAccountToken"] is False
        assert pod["spec"]["enableServiceLinks"] is False
    for account in render(values_of(example)).of("ServiceAccount").values():
        assert account["automountServiceAccountToken"] is False


@pytest.mark.parametrize("example", EXAMPLES)
def test_every_container_asks_for_memory_and_is_limited_in_it(example: str) -> None:
    for name, pod in render(values_of(example)).pods().items():
        for container in pod["spec"]["containers"]:
            assert {"cpu", "memory"} <= container["resources"]["requests"].keys(), name
            assert "memory" in container["resources"]["limits"], name


@pytest.mark.parametrize("example", EXAMPLES)
def test_the_environment_holds_no_secret_but_by_reference(example: str) -> None:
    for name, pod in render(values_of(example)).pods().items():
        for variable in pod["spec"]["containers"][0].get("env", []):
            if variable["name"] not in {"POPLAR_CONFIG", "OTEL_RESOURCE_ATTRIBUTES"}:
                assert set(variable) == {"name", "valueFrom"}, name
                assert set(variable["valueFrom"]) in ({"secretKeyRef"}, {"fieldRef"})


def test_each_part_gets_its_own_login_and_no_other() -> None:
    rendered = render(values_of("full"))
    found = {
        name: {
            each["valueFrom"]["secretKeyRef"]["name"]
            for each in pod["spec"]["containers"][0]["env"]
            if "secretKeyRef" in each.get("valueFrom", {})
        }
        for name, pod in rendered.pods().items()
        if "volumes" in pod["spec"]
    }
    assert found == {
        "Deployment r-poplar-pop3": {"db-front", "cache", "bucket", "scram", "collector"},
        "Deployment r-poplar-lmtp": {"db-lmtp", "bucket", "scram", "collector"},
        "Deployment r-poplar-admin": {"db-api", "cache", "bucket", "scram", "collector"},
        "Deployment r-poplar-sweep": {"db-sweep", "bucket", "scram", "collector"},
        "Job r-poplar-migration": {"db-owner", "scram", "collector"},
        "Job r-poplar-tenants": {"db-api", "cache", "bucket", "scram", "collector"},
    }


@pytest.mark.parametrize("example", EXAMPLES)
def test_serving_pods_are_probed_on_the_ops_port_alone(example: str) -> None:
    for each in render(values_of(example)).of("Deployment").values():
        (container,) = each["spec"]["template"]["spec"]["containers"]
        probes = {key: value["httpGet"] for key, value in container.items() if key.endswith("Probe")}
        assert {probe["port"] for probe in probes.values()} == {"ops"}
        assert {key: probe["path"] for key, probe in probes.items()} == {
            "startupProbe": "/readyz", "readinessProbe": "/readyz", "livenessProbe": "/livez",
        }  # fmt: skip


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_update_takes_no_pod_away_before_its_heir_is_ready_and_pods_are_spread(example: str) -> None:
    for each in render(values_of(example)).of("Deployment").values():
        assert each["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
        spread = each["spec"]["template"]["spec"]["topologySpreadConstraints"]
        assert [each["topologyKey"] for each in spread] == ["topology.kubernetes.io/zone", "kubernetes.io/hostname"]
        for constraint in spread:
            assert constraint["matchLabelKeys"] == ["pod-template-hash"]
            assert constraint["labelSelector"]["matchLabels"] == each["spec"]["selector"]["matchLabels"]


@pytest.mark.parametrize("example", EXAMPLES)
def test_client_addresses_are_kept_by_services_that_come_from_outside(example: str) -> None:
    for each in render(values_of(example)).of("Service").values():
        outside = each["spec"].get("type", "ClusterIP") != "ClusterIP"
        assert each["spec"].get("externalTrafficPolicy") == ("Local" if outside else None)


@pytest.mark.parametrize("example", EXAMPLES)
def test_what_one_object_names_another_is(example: str) -> None:
    """Services find pods and ports, mounts find volumes, routes find Services, autoscalers find Deployments."""
    rendered = render(values_of(example))
    for service in rendered.of("Service").values():
        assert named_ports(service, rendered.pods().values())
    for pod in rendered.pods().values():
        mounted = {mount["name"] for mount in pod["spec"]["containers"][0].get("volumeMounts", [])}
        assert mounted == {volume["name"] for volume in pod["spec"].get("volumes", [])}
    text = json.dumps(rendered.objects)
    for kind in ("TCPRoute", "TLSRoute"):
        for route in rendered.of(kind).values():
            (backend,) = route["spec"]["rules"][0]["backendRefs"]
            ports = rendered.of("Service")[backend["name"]]["spec"]["ports"]
            assert [port["port"] for port in ports] == [backend["port"]]
    for scaler in (*rendered.of("HorizontalPodAutoscaler").values(), *rendered.of("ScaledObject").values()):
        assert scaler["spec"]["scaleTargetRef"]["name"] in rendered.of("Deployment"), text


def named_ports(service: Object, pods: Any) -> bool:
    """Whether a pod that the Service chooses has each port it names; true where there is no such pod at all."""
    chosen = [pod for pod in pods if service["spec"]["selector"].items() <= pod["metadata"]["labels"].items()]
    names = {port["name"] for pod in chosen for each in pod["spec"]["containers"] for port in each.get("ports", [])}
    return {port["targetPort"] for port in service["spec"]["ports"]} <= names
