"""Every example in `ci/`, on every Kubernetes from 1.30 on: it lints, and every object is what the API takes."""

import json
from functools import cache

import kubernetes_validate
import pytest

from service.app.blobs import make_blobs
from tests.helm.charting import EXAMPLES, KUBES, NEWEST, ChartError, Object, merged, render, run, values_of
from tests.helm.custom import complaints
from tests.helm.settings_of import load_like

# In one process: what is the same in several examples is rendered and looked at once.
pytestmark = pytest.mark.xdist_group("examples of the chart")
SOME_KUBES = [KUBES[0], KUBES[4], KUBES[-1]]
CORE = {
    "v1", "apps/v1", "batch/v1", "policy/v1", "networking.k8s.io/v1", "autoscaling/v2",
}  # fmt: skip
CUSTOM = {
    "cert-manager.io/v1", "external-secrets.io/v1", "gateway.networking.k8s.io/v1", "keda.sh/v1alpha1",
    "monitoring.coreos.com/v1",
}  # fmt: skip
NAMESPACED = {
    "Certificate", "ConfigMap", "CronJob", "Deployment", "ExternalSecret", "Gateway", "HorizontalPodAutoscaler", "Job",
    "NetworkPolicy", "Pod", "PodDisruptionBudget", "PodMonitor", "PrometheusRule", "ScaledObject", "Service",
    "ServiceAccount", "ServiceMonitor", "TCPRoute", "TLSRoute",
}  # fmt: skip


@pytest.mark.parametrize("kube", KUBES)
@pytest.mark.parametrize("example", EXAMPLES)
def test_it_lints_strictly(example: str, kube: str) -> None:
    run("4", "lint", "--strict", "--quiet", f"--kube-version={kube}", f"--values={EXAMPLES[example]}", "helm/poplar")


@pytest.mark.parametrize("example", EXAMPLES)
def test_the_api_takes_every_object(example: str) -> None:
    rendered = render(values_of(example))
    assert render(values_of(example), kube=KUBES[0]).objects == rendered.objects
    for each in rendered:
        if each["apiVersion"] in CORE:
            for kube in KUBES if example == "full" else SOME_KUBES:
                valid(json.dumps(each, sort_keys=True), kube)


@cache
def valid(text: str, kube: str) -> None:
    kubernetes_validate.validate(json.loads(text), kube, strict=True)


@pytest.mark.parametrize("example", EXAMPLES)
def test_it_lints_with_helm_3_and_renders_the_same(example: str) -> None:
    run("3", "lint", "--strict", "--quiet", f"--kube-version={NEWEST}", f"--values={EXAMPLES[example]}", "helm/poplar")
    assert render(values_of(example), major="3").objects == render(values_of(example)).objects


def test_every_object_of_a_custom_kind_is_what_its_definition_asks() -> None:
    objects: list[Object] = [
        each for example in EXAMPLES for each in render(values_of(example)) if each["apiVersion"] in CUSTOM
    ]
    assert {each["kind"] for each in objects} >= {
        "Certificate", "ExternalSecret", "Gateway", "PodMonitor", "ScaledObject", "ServiceMonitor", "TCPRoute",
        "TLSRoute",
    }  # fmt: skip
    assert complaints(objects) == {}


def test_the_definitions_of_custom_kinds_refuse_what_is_wrong() -> None:
    wrong = [each for each in render(values_of("keda")) if each["kind"] == "ScaledObject"]
    wrong[0]["spec"]["scaleTargetRef"]["name"] = 1
    assert "name must be string" in complaints(wrong)["ScaledObject r-poplar-pop3"]


@pytest.mark.parametrize("example", EXAMPLES)
def test_nothing_of_it_is_cluster_scoped_a_right_a_definition_or_a_secret(example: str) -> None:
    objects = render(values_of(example)).objects
    assert {each["kind"] for each in objects} <= NAMESPACED
    assert {each["apiVersion"] for each in objects} <= CORE | CUSTOM
    assert {each["metadata"]["namespace"] for each in objects} == {"mail"}


@pytest.mark.parametrize("example", EXAMPLES)
def test_poplar_loads_the_settings_of_every_pod(example: str) -> None:
    rendered = render(values_of(example))
    loaded = [load_like(pod, rendered) for pod in rendered.pods().values() if "volumes" in pod["spec"]]
    assert len(loaded) >= 1
    for settings in loaded:
        assert settings.listeners
        assert str(settings.tls.directory) == "/etc/poplar/tls"
        assert make_blobs(settings.object_store)


@pytest.mark.parametrize("mode", ["worker", "cronjob"])
def test_every_file_that_the_settings_name_is_in_every_pod_that_reads_them(mode: str) -> None:
    rendered = render(merged(values_of("full"), {"sweep": {"mode": mode}}))
    for name, pod in rendered.pods().items():
        if "volumes" in pod["spec"]:
            named = load_like(pod, rendered).traces.ca
            mounts = [each["mountPath"] for each in pod["spec"]["containers"][0]["volumeMounts"]]
            assert named is not None
            assert (named.name, str(named.parent) in mounts) == ("ca.crt", True), name


def test_where_the_access_key_names_azure_s_account_the_migration_is_given_it_too() -> None:
    rendered = render(merged(values_of("azure"), {"objectStore": {"account": "", "secretName": "keys"}}))
    for pod in rendered.pods().values():
        if "volumes" in pod["spec"]:
            assert load_like(pod, rendered).object_store.access_key


def test_an_older_kubernetes_is_refused() -> None:
    with pytest.raises(ChartError, match=r"chart requires kubeVersion: >=1\.30\.0-0"):
        render(kube="1.29")


def test_a_vendor_s_kubernetes_is_taken_for_its_release() -> None:
    assert render(kube="1.30.5-eks-1234567").objects
