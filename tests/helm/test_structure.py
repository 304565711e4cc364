"""Names, labels, listeners, drain and scaling: what several values decide together."""

import json
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.helm.charting import CHART, EXAMPLES, LEAST, Rendered, at, least, merged, render, run, values_of
from tests.helm.differing import POD, differences


def test_nothing_of_global_reaches_an_object() -> None:
    assert differences(least(), least(**{"global": {"anything": {"at": ["all"]}}})) == {}


def test_names() -> None:
    assert "Deployment mail-pop3" in least(fullnameOverride="mail").pods()
    assert "Deployment r-letters-pop3" in least(nameOverride="letters").pods()
    assert "Deployment r-pop3" in least(nameOverride="r").pods()
    given_name = least(serviceAccount={"name": "own"})
    assert set(given_name.of("ServiceAccount")) == {"own"}
    assert given_name.one("Deployment", "-pop3")["spec"]["template"]["spec"]["serviceAccountName"] == "own"
    none = least(serviceAccount={"create": False})
    assert none.of("ServiceAccount") == {}
    assert none.one("Deployment", "-pop3")["spec"]["template"]["spec"]["serviceAccountName"] == "default"


def test_a_long_name_leaves_room_for_what_kubernetes_appends() -> None:
    rendered = least(fullnameOverride="x" * 40)
    assert max(len(each["metadata"]["name"]) for each in rendered) <= 52


def test_labels_of_all_reach_every_object_and_pod() -> None:
    rendered = least(commonLabels={"team": "mail"})
    assert {each["metadata"]["labels"]["team"] for each in rendered} == {"mail"}
    assert {pod["metadata"]["labels"]["team"] for pod in rendered.pods().values()} == {"mail"}


@pytest.mark.parametrize(("off", "on"), [("pop3", "pop3s"), ("pop3s", "pop3")])
def test_a_listener_that_is_off_is_nowhere(off: str, on: str) -> None:
    rendered = least(listeners={off: {"enabled": False}})
    assert [each["name"] for each in rendered.settings()["listeners"]] == [on, "lmtp"]
    ports = rendered.one("Deployment", "-pop3")["spec"]["template"]["spec"]["containers"][0]["ports"]
    assert [port["name"] for port in ports] == [on, "ops"]
    assert f"r-poplar-{off}" not in rendered.of("Service")
    assert f"r-poplar-test-{off}" not in rendered.of("Pod")
    allowed = rendered.one("NetworkPolicy", "-pop3")["spec"]["ingress"][0]["ports"]
    assert [port["port"] for port in allowed] == [on]


def test_the_proxy_header_is_required_of_pop3_alone() -> None:
    rendered = least(proxyProtocol={"mode": "required", "trustedCIDRs": ["10.0.0.0/8"]})
    found = {each["name"]: each.get("proxy_protocol") for each in rendered.settings()["listeners"]}
    assert found == {"pop3": "required", "pop3s": "required", "lmtp": None}
    for name in ("pop3", "pop3s"):
        assert rendered.one("Pod", f"-test-{name}")["spec"]["containers"][0]["args"][-2:] == [
            "--proxy-from",
            "192.0.2.1",
        ]


class Strict(yaml.CSafeLoader):
    """Refuses a key that stands twice, as kustomize does; Helm lets the last one count."""


def _once(loader: Strict, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
    keys = [loader.construct_object(key, deep=True) for key, _ in node.value]
    assert len(keys) == len(set(keys)), keys
    return yaml.SafeLoader.construct_mapping(loader, node, deep)


Strict.add_constructor("tag:yaml.org,2002:map", _once)


def test_a_label_given_twice_stands_once_and_the_nearer_one_counts() -> None:
    twice = {"team": "near", "app.kubernetes.io/name": "other", "checksum/config": "x"}
    values = merged(values_of("full"), {
        "commonLabels": {"team": "far", "app.kubernetes.io/instance": "other", "helm.sh/chart": "x"},
        "pod": {"labels": twice, "annotations": twice},
        "monitoring": {"podMonitor": {"labels": twice}, "rules": {"labels": twice}, "dashboards": {"labels": twice}},
    })  # fmt: skip
    text = run("4", "template", "r", str(CHART), "--namespace=mail", "--values=-", told=json.dumps(values))
    rendered = Rendered([each for each in yaml.load_all(text, Strict) if each])
    assert rendered.one("PodMonitor")["metadata"]["labels"]["team"] == "near"
    for pod in rendered.pods().values():
        labels = pod["metadata"]["labels"]
        assert labels["app.kubernetes.io/name"] == "poplar"
        assert labels["app.kubernetes.io/instance"] == "r"
    assert rendered.one("Deployment", "-pop3")["spec"]["template"]["metadata"]["labels"]["team"] == "near"


def test_off_may_be_written_as_yaml_reads_it() -> None:
    assert differences(least(), least(proxyProtocol={"mode": False})) == {}


def test_the_sweep_is_a_worker_or_a_cron_job() -> None:
    worker, job = least(), least(sweep={"mode": "cronjob"})
    assert worker.one("Deployment", "-sweep")["spec"]["template"]["spec"]["containers"][0]["args"] == [
        "sweep",
        "--loop",
    ]
    assert "r-poplar-sweep" not in job.of("Deployment")
    spec = job.one("CronJob", "-sweep")["spec"]
    assert spec["concurrencyPolicy"] == "Forbid"
    assert spec["jobTemplate"]["spec"]["template"]["spec"]["containers"][0]["args"] == ["sweep"]


class TestDrain:
    """`terminationGracePeriodSeconds` holds the sleep, the sessions' grace and a margin, whatever they are."""

    @given(
        sleep=st.integers(1, 300), grace=st.integers(1, 86_400), margin=st.integers(18, 300),
        part=st.sampled_from(["pop3", "lmtp", "admin", "sweep"]),
    )  # fmt: skip
    @settings(max_examples=25)
    def test_drain(self, sleep: int, grace: int, margin: int, part: str) -> None:
        rendered = least(drain={"preStopSeconds": sleep, "sessionGraceSeconds": grace, "marginSeconds": margin})
        spec = rendered.one("Deployment", f"-{part}")["spec"]["template"]["spec"]
        assert spec["terminationGracePeriodSeconds"] == sleep + grace + margin
        assert spec["containers"][0]["lifecycle"] == {"preStop": {"sleep": {"seconds": sleep}}}
        assert rendered.settings()["drain"] == {"grace": grace}

    def test_the_least_margin_holds_what_a_process_takes_to_end_the_rest(self) -> None:
        from service.net.drain import END_SECONDS
        from service.settings import Settings
        from service.telemetry.serving import GRACE

        schema = json.loads((CHART / "values.schema.json").read_text("utf-8"))
        margin = schema["properties"]["drain"]["properties"]["marginSeconds"]["minimum"]
        assert margin >= END_SECONDS + GRACE + Settings().events.flush


@pytest.mark.parametrize("part", ["pop3", "lmtp", "admin"])
def test_traces_name_the_pod_that_they_are_of(part: str) -> None:
    def told(**config: object) -> dict[str, Any]:
        rendered = least(config=config)
        (container,) = rendered.one("Deployment", f"-{part}")["spec"]["template"]["spec"]["containers"]
        return {each["name"]: each for each in container["env"]}

    on = told(traces={"enabled": True})
    assert on["POD_NAME"]["valueFrom"]["fieldRef"]["fieldPath"] == "metadata.name"
    assert "k8s.pod.name=$(POD_NAME)" in on["OTEL_RESOURCE_ATTRIBUTES"]["value"]
    assert list(on).index("POD_NAME") < list(on).index("OTEL_RESOURCE_ATTRIBUTES")
    assert set(on) - set(told()) == {"POD_NAME", "NODE_NAME", "OTEL_RESOURCE_ATTRIBUTES"}
    assert set(told(traces={"enabled": False, "ratio": 1})) == set(told())


class TestScaling:
    """Nobody but the autoscaler says how many pods there are."""

    @pytest.mark.parametrize("major", ["4", "3"])
    @pytest.mark.parametrize("kind", ["hpa", "keda"])
    @pytest.mark.parametrize("replicas", [0, 7])
    def test_scaling(self, kind: str, replicas: int, major: str) -> None:
        scale = {"type": kind, "keda": {"prometheusUrl": "http://p"}}
        rendered = render(merged(LEAST, {"autoscaling": scale, "frontEnd": {"replicas": replicas}}), major=major)
        assert "replicas" not in rendered.one("Deployment", "-pop3")["spec"]
        assert rendered.one("Deployment", "-lmtp")["spec"]["replicas"] == 2

    @pytest.mark.parametrize("example", EXAMPLES)
    def test_an_example_has_replicas_or_an_autoscaler(self, example: str) -> None:
        rendered = render(values_of(example))
        scaled = {
            each["spec"]["scaleTargetRef"]["name"]
            for kind in ("HorizontalPodAutoscaler", "ScaledObject")
            for each in rendered.of(kind).values()
        }
        for name, each in rendered.of("Deployment").items():
            assert ("replicas" in each["spec"]) == (name not in scaled)

    def test_it_is_fast_up_and_slow_down_by_either(self) -> None:
        hpa = render(values_of("hpa")).one("HorizontalPodAutoscaler", "-pop3")["spec"]["behavior"]
        keda = render(values_of("keda")).one("ScaledObject", "-pop3")["spec"]["advanced"]
        assert hpa["scaleUp"] == keda["horizontalPodAutoscalerConfig"]["behavior"]["scaleUp"]
        assert hpa["scaleUp"]["stabilizationWindowSeconds"] == 0
        assert hpa["scaleDown"]["stabilizationWindowSeconds"] >= 300

    def test_keda_asks_for_this_release_s_sessions_alone(self) -> None:
        from prometheus_client import REGISTRY

        import service.telemetry.systems  # noqa: F401 - registers the metrics

        (query,) = [
            each["metadata"]["query"]
            for each in render(values_of("keda")).one("ScaledObject", "-pop3")["spec"]["triggers"]
            if each["type"] == "prometheus"
        ]
        assert query == 'sum(poplar_sessions{namespace="mail",pod=~"r-poplar-pop3-.*"})'
        assert "poplar_sessions" in {metric.name for metric in REGISTRY.collect()}


@pytest.mark.parametrize("example", EXAMPLES)
def test_a_change_of_settings_replaces_the_pods_and_nothing_else_does(example: str) -> None:
    def sums(values: dict[str, Any]) -> set[str]:
        pods = render(values).pods().values()
        return {pod["metadata"].get("annotations", {}).get("checksum/config", "") for pod in pods} - {""}

    before = sums(values_of(example))
    assert len(before) == 1
    assert sums(merged(values_of(example), at("config.logging.level", "debug"))) != before
    assert sums(merged(values_of(example), at("frontEnd.replicas", 4))) == before


def test_every_kind_with_a_pod_is_known_to_the_tests() -> None:
    assert set(POD) == {
        each["kind"] for example in EXAMPLES for each in render(values_of(example)) if "containers" in json.dumps(each)
    } - {"ConfigMap"}  # fmt: skip
