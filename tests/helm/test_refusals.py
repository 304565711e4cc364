"""What the chart refuses: each complaint of the templates once, and a typo at any depth."""

import json
import re
from typing import Any

import pytest

from tests.helm.charting import CHART, LEAST, ChartError, at, merged, refusal, render, run, values_of
from tests.helm.documenting import Entry, entries

ROUTED = {"gateway": {"parentRefs": [{"name": "edge"}]}}
REFUSED: list[tuple[str, dict[str, Any]]] = [
    ("proxyProtocol.trustedCIDRs must name the balancers' networks", {"proxyProtocol": {"mode": "required"}}),
    ("proxyProtocol.trustedCIDRs has no effect while", {"proxyProtocol": {"trustedCIDRs": ["10.0.0.0/8"]}}),
    *(
        (
            f"proxyProtocol.trustedCIDRs must not hold {network}",
            {"proxyProtocol": {"mode": "required", "trustedCIDRs": ["10.0.0.0/8", network]}},
        )
        for network in ("0.0.0.0/0", "::/0", "10.0.0.0/00")
    ),
    *(
        (f"database.{role}.secretName must name the Secret", {"database": {"shared": {"secretName": ""}}})
        for role in ("owner", "front", "lmtp", "sweep", "api")
    ),
    *(
        ("redis.secretName must name the Secret", {"redis": {"secretName": ""}} | alone)
        for alone in (
            {},
            # The Job of tenants is given the URL too.
            {"frontEnd": {"enabled": False}, "admin": {"enabled": False}, "tenants": {"enabled": True}},
        )
    ),
    ("objectStore.url must say where messages are kept", {"objectStore": {"url": ""}}),
    ("objectStore.account must name the storage account of az://", at("objectStore.url", "az://mail")),
    ("objectStore.account is Azure's alone", at("objectStore.account", "mail")),
    ("objectStore.secretName must be empty for gs://", {"objectStore": {"url": "gs://mail", "secretName": "keys"}}),
    ("objectStore.endpoint has no TLS", {"objectStore": {"endpoint": "http://s3.internal"}}),
    (
        "listeners.pop3s.tls is terminated, so service.pop3s.type must be ClusterIP",
        {"listeners": {"pop3s": {"tls": "terminated"}}},
    ),
    (
        "listeners.pop3.tls is terminated, so service.pop3.type must be ClusterIP",
        {"listeners": {"pop3": {"tls": "terminated"}}, "service": {"pop3": {"type": "NodePort"}}},
    ),
    *(
        ("two of them must not have the same port", {"listeners": {name: {"port": port}}})
        for name, port in (("pop3", 1995), ("pop3s", 1024), ("lmtp", 8080), ("ops", 1110))
    ),
    (
        "listeners.pop3 or listeners.pop3s must be enabled where frontEnd is",
        {"listeners": {"pop3": {"enabled": False}, "pop3s": {"enabled": False}}},
    ),
    ("tls.secretNames or tls.certificate must give a certificate", {"tls": {"secretNames": []}}),
    (
        "tls.secretNames or tls.certificate must give a certificate",
        {"tls": {"secretNames": []}, "frontEnd": {"enabled": False}, "listeners": {"lmtp": {"tls": "implicit"}}},
    ),
    ("tls.certificate needs issuerRef.name and dnsNames", {"tls": {"certificate": {"enabled": True}}}),
    (
        "tls.certificate needs issuerRef.name and dnsNames",
        {"tls": {"certificate": {"enabled": True, "dnsNames": ["a.b"]}}},
    ),
    ("gateway.parentRefs must name the Gateway", at("gateway.tcpRoute.enabled", True)),
    ("gateway.create needs gateway.tcpRoute or", {"gateway": {"create": {"enabled": True, "className": "eg"}}}),
    (
        "gateway.create.className must name a GatewayClass",
        {"gateway": {"create": {"enabled": True}, "tcpRoute": {"enabled": True}}},
    ),
    (
        "gateway.create.certificateSecretName must name",
        {"gateway": {"create": {"enabled": True, "className": "eg"}, "tlsRoute": {"enabled": True}}},
    ),
    (
        "gateway.tcpRoute needs listeners.pop3",
        merged(ROUTED, {"gateway": {"tcpRoute": {"enabled": True}}, "listeners": {"pop3": {"enabled": False}}}),
    ),
    (
        "gateway.tlsRoute ends TLS at the Gateway",
        merged(ROUTED, {"gateway": {"tlsRoute": {"enabled": True, "hostnames": ["a.b"]}}}),
    ),
    (
        "gateway.tlsRoute.hostnames must name",
        merged(ROUTED, {"gateway": {"tlsRoute": {"enabled": True}}, "listeners": {"pop3s": {"tls": "terminated"}}}),
    ),
    ("autoscaling needs frontEnd", {"autoscaling": {"type": "hpa"}, "frontEnd": {"enabled": False}}),
    ("autoscaling.minReplicas must not be more", {"autoscaling": {"type": "hpa", "minReplicas": 31}}),
    (
        "set frontEnd.resources.requests.cpu",
        {"autoscaling": {"type": "hpa"}, "frontEnd": {"resources": {"requests": {"cpu": None}}}},
    ),
    ("autoscaling.keda.prometheusUrl must say", {"autoscaling": {"type": "keda"}}),
    (
        "frontEnd.resources.limits.memory is 1Gi, but the budgets in limits (listing_octets, prefetch_process_octets, "
        "retrieval_octets) and 256Mi come to 1088Mi",
        at("frontEnd.resources.limits.memory", "1Gi"),
    ),
    ("and 256Mi come to 2624Mi", {"limits": {"listing_octets": 2 * 1024**3}}),
    ("lmtp.resources.limits.memory is 500M", at("lmtp.resources.limits.memory", "500M")),
    (
        "would both scrape every pod",
        {"monitoring": {"podMonitor": {"enabled": True}, "serviceMonitor": {"enabled": True}}},
    ),
    (
        "config.sweep.interval must be at most 9000 where monitoring.rules is enabled",
        {"config": {"sweep": {"interval": 9001}}, "monitoring": {"rules": {"enabled": True}}},
    ),
    ("drain.marginSeconds must be at least 13 more than config.events.flush", at("config.events.flush", 8)),
    (
        "drain.marginSeconds must be at least 13 more than config.events.flush and config.traces.flush together",
        {"config": {"traces": {"enabled": True, "flush": 3}}},
    ),
    ("tenants.files must hold at least one file", at("tenants.enabled", True)),
    ("config.hashing.scram needs hashing.scram_secret", at("config.hashing.scram", True)),
]


@pytest.mark.parametrize(
    ("complaint", "values"), REFUSED, ids=[f"{i}-{each[0][:40]}" for i, each in enumerate(REFUSED)]
)
def test_it_is_refused_in_plain_words(complaint: str, values: dict[str, Any]) -> None:
    assert complaint in refusal(merged(LEAST, values))


def test_every_complaint_of_the_templates_has_a_case() -> None:
    text = (CHART / "templates/_validate.tpl").read_text("utf-8")
    complaints = re.findall(r'append \$wrong (?:\(printf )?"((?:[^"\\]|\\.)*)"', text)
    assert len(complaints) > 20
    told = "\n".join(refusal(merged(LEAST, values)) for _, values in REFUSED)
    for complaint in complaints:
        pattern = ".*".join(re.escape(part) for part in re.split(r"%[sdv]", complaint))
        assert re.search(pattern, told), complaint
    assert text.count("append $wrong") == len(complaints) + text.count("append $wrong .")


def test_all_complaints_are_told_at_once() -> None:
    told = refusal({})
    assert told.count("\n- ") == 8


@pytest.mark.parametrize("value", ["/0", "10.0.0.0", "everywhere", "10.0.0.0/8,192.0.2.0/24"])
def test_what_is_no_network_is_refused(value: str) -> None:
    assert "trustedCIDRs" in refusal(merged(LEAST, {"proxyProtocol": {"mode": "required", "trustedCIDRs": [value]}}))


def groups(of: list[Entry]) -> list[str]:
    return [path for entry in of if entry.children for path in (".".join(entry.path), *groups(entry.children))]


DEEPER = [
    "frontEnd.resources", "lmtp.resources.limits", "config.pop3", "config.hashing", "limits", "config",
    "config.database", "sweep.resources.requests", "networkPolicy.egress",
]  # fmt: skip


@pytest.mark.parametrize("group", ["", *groups(entries()), *DEEPER])
def test_a_typo_at_any_depth_is_refused(group: str) -> None:
    told = refusal(merged(LEAST, at(f"{group}.tpyo".removeprefix("."), "x")))
    assert "additional properties 'tpyo' not allowed" in told


@pytest.mark.parametrize(
    "values",
    [
        {"networkPolicy": {"pop3From": [{"ipblock": {"cidr": "10.0.0.0/8"}}]}},
        {"networkPolicy": {"egress": {"to": [{"ports": [{"prot": 1}]}]}}},
        {"externalSecrets": [{"name": "a", "storeRef": {"name": "b"}, "data": [{"secretKey": "c", "remoteref": {}}]}]},
        {"gateway": {"parentRefs": [{"name": "a", "sectionname": "b"}]}},
        {"pod": {"tolerations": [{"operater": "Exists"}]}},
        {"secretSettings": [{"setting": "hashing.scram_secret", "secret": "a", "key": "b"}]},
        {"secretSettings": [{"setting": "hashing.scram_sekret", "secretName": "a", "key": "b"}]},
        {"tenants": {"files": {"no-yaml": {}}}},
    ],
    ids=json.dumps,
)
def test_a_typo_within_a_list_is_refused(values: dict[str, Any]) -> None:
    assert "don't meet the specifications of the schema" in refusal(merged(LEAST, values))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("config.database.owner_url", "postgresql://u:p@db/x"),
        ("config.redis.url", "redis://:p@cache/0"),
        ("config.object_store.secret_key", "p"),
        ("config.hashing.scram_secret", "p" * 32),
        ("config.listeners", []),
        ("config.drain", {"grace": 5}),
        ("config.http", {"port": 1}),
        ("config.limits", {"connections": 1}),
        ("config.tls", {"directory": "/x"}),
        ("config.directory", {"outside": []}),
    ],
)
def test_a_secret_or_what_another_key_sets_cannot_stand_in_config(path: str, value: object) -> None:
    assert "not allowed" in refusal(merged(LEAST, at(path, value)))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("config.pop3.failure_delay", 31),
        ("config.logging.level", "loud"),
        ("limits.connections", 0),
        ("limits.connections", "many"),
        ("config.sweep.orphan_hours", 0),
        ("listeners.pop3.port", 110),
        ("service.lmtp.port", 25),
        ("drain.marginSeconds", 5),
        ("drain.preStopSeconds", 0),
        ("objectStore.url", "file:///var/lib/poplar"),
        ("objectStore.url", "s3://user:password@bucket"),
        ("image.digest", "latest"),
        ("frontEnd.replicas", -1),
        ("autoscaling.type", "vpa"),
        ("fullnameOverride", "x" * 41),
    ],
)
def test_a_value_out_of_bounds_is_refused(path: str, value: object) -> None:
    told = refusal(merged(LEAST, at(path, value)))
    assert f"at '/{path.replace('.', '/')}'" in told


def test_helm_3_refuses_the_same() -> None:
    assert "Additional property tpyo is not allowed" in refusal(merged(LEAST, at("config.pop3.tpyo", 1)), major="3")
    assert "redis.secretName must name" in refusal(merged(LEAST, at("redis.secretName", "")), major="3")


def test_a_secret_s_text_can_be_given_nowhere() -> None:
    paths = [".".join(entry.path) for entry in entries() for entry in (entry, *entry.children)]
    assert [path for path in paths if re.search(r"password|token", path.lower()) and not path.endswith("Key")] == []


def test_a_chart_that_holds_this_one_may_have_globals(tmp_path: Any) -> None:
    parent = tmp_path / "parent"
    (parent / "charts").mkdir(parents=True)
    (parent / "Chart.yaml").write_text("apiVersion: v2\nname: parent\nversion: 1.0.0\n", "utf-8")
    (parent / "charts/poplar").symlink_to(CHART)
    values = {"global": {"registry": "x"}, "poplar": values_of("default")}
    assert "r-poplar-pop3" in run("4", "template", "r", str(parent), "--values=-", told=json.dumps(values))
    with pytest.raises(ChartError, match="tpyo"):
        run("4", "template", "r", str(parent), "--values=-", told=json.dumps(merged(values, {"poplar": {"tpyo": 1}})))
    assert render()
