"""The shipped values and objects for load balancers, by the chart and by each project's own definition."""

import json
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft4Validator, ValidationError

from tests.helm.charting import LEAST, Object, Rendered, merged, render
from tests.helm.custom import complaints

FOLDER = Path(__file__).parents[2] / "deploy" / "loadbalancers"
VALUES = sorted(FOLDER.glob("*-values.yaml"))
OBJECTS = sorted(set(FOLDER.glob("*.yaml")) - set(VALUES))
# Where a project publishes its definitions as a Go module: the module, and the folder in it.
PUBLISHED = {
    "metallb.io": ("go.universe.tf/metallb@v0.15.2", "config/crd/bases"),
    "gateway.envoyproxy.io": ("github.com/envoyproxy/gateway@v1.5.0", "charts/gateway-helm/crds/generated"),
}


def rendered(path: Path) -> Rendered:
    return render(merged(LEAST, yaml.safe_load(path.read_text("utf-8"))))


def objects(path: Path) -> list[Object]:
    return [each for each in yaml.safe_load_all(path.read_text("utf-8")) if each]


@pytest.mark.parametrize("path", VALUES, ids=lambda path: path.stem)
def test_the_chart_takes_the_values_and_says_who_the_client_is(path: Path) -> None:
    chart = rendered(path)
    listeners = [each for each in chart.settings()["listeners"] if each["protocol"] == "pop3"]
    services = [chart.one("Service", name)["spec"] for name in ("-pop3", "-pop3s")]
    for listener, service in zip(listeners, services, strict=True):
        kept = service["type"] == "LoadBalancer" and service["externalTrafficPolicy"] == "Local"
        assert listener.get("proxy_protocol", "off") == "required" or kept


def test_the_nlbs_header_comes_before_the_client_speaks() -> None:
    for name in ("-pop3", "-pop3s"):
        told = rendered(FOLDER / "aws-nlb-values.yaml").one("Service", name)["metadata"]["annotations"]
        assert (
            "header_placement=on_first_ack"
            in told["service.beta.kubernetes.io/aws-load-balancer-target-group-attributes"]
        )


@pytest.mark.parametrize("path", VALUES, ids=lambda path: path.stem)
def test_the_network_policy_lets_health_checks_of_the_ops_port_in(path: Path) -> None:
    chart = rendered(path)
    told = [each["metadata"].get("annotations", {}) for each in chart.of("Service").values()]
    if not any(name.endswith("healthcheck-port") for each in told for name in each):
        return
    rules = chart.one("NetworkPolicy", "-pop3")["spec"]["ingress"]
    (peers,) = [rule["from"] for rule in rules if rule["ports"] == [{"port": "ops", "protocol": "TCP"}]]
    trusted = [network for each in chart.settings()["listeners"] for network in each.get("trusted", ())]
    assert trusted
    assert all({"ipBlock": {"cidr": network}} in peers for network in trusted)
    assert {"namespaceSelector": {}} in peers


@cache
def definitions(group: str) -> dict[str, dict[str, Any]]:
    """The OpenAPI schema of each kind of this group and version."""
    module, folder = PUBLISHED[group]
    if (go := shutil.which("go")) is None:
        pytest.skip("the definitions of MetalLB and Envoy Gateway come as Go modules, and Go isn't here")
    done = subprocess.run([go, "mod", "download", "-json", module], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"{module} can't be had")
    found = {}
    for path in (Path(json.loads(done.stdout)["Dir"]) / folder).glob("*.yaml"):
        for crd in yaml.load_all(path.read_text("utf-8"), yaml.CSafeLoader):
            for version in crd["spec"]["versions"] if crd else ():
                kind = f"{crd['spec']['group']}/{version['name']} {crd['spec']['names']['kind']}"
                found[kind] = closed(version["schema"]["openAPIV3Schema"])
    return found


def closed(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema, with every field that it doesn't name refused, as the API server drops them unseen."""
    if "properties" in schema and "additionalProperties" not in schema:
        inner = {name: closed(each) for name, each in schema["properties"].items()}
        return {
            **schema,
            "properties": inner,
            "additionalProperties": bool(schema.get("x-kubernetes-preserve-unknown-fields")),
        }
    return {**schema, "items": closed(schema["items"])} if isinstance(schema.get("items"), dict) else schema


@pytest.mark.parametrize("path", OBJECTS, ids=lambda path: path.stem)
def test_each_object_is_one_by_its_projects_definition(path: Path) -> None:
    for each in objects(path):
        group = each["apiVersion"].partition("/")[0]
        if group in PUBLISHED:
            schema = definitions(group)[f"{each['apiVersion']} {each['kind']}"]
            metadata = {"type": "object"}
            whole = {**schema, "properties": {**schema["properties"], "metadata": metadata}}
            Draft4Validator(whole).validate(each)
        elif group == "traefik.io":
            assert complaints([each]) == {}
        else:
            assert each["kind"] == "ConfigMap"


def test_a_misspelt_field_is_noticed() -> None:
    [pool, _] = objects(FOLDER / "metallb.yaml")
    pool["spec"]["adresses"] = pool["spec"].pop("addresses")
    with pytest.raises(ValidationError):
        Draft4Validator(definitions("metallb.io")["metallb.io/v1beta1 IPAddressPool"]).validate(pool)


def test_objects_name_the_services_that_the_chart_makes() -> None:
    made = {name.replace("r-poplar", "poplar") for name in rendered(FOLDER / "traefik-values.yaml").of("Service")}
    text = "".join(path.read_text("utf-8") for path in OBJECTS)
    assert {"poplar-pop3", "poplar-pop3s"} <= made
    assert "name: poplar-pop3," in text
    assert "poplar/poplar-pop3s:995" in text
