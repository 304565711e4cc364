"""Each value of the chart moves exactly the field it is for, and no other."""

from typing import Any, NamedTuple

import pytest

from tests.helm.charting import LEAST, Rendered, at, merged, render, values_of
from tests.helm.differing import GONE, POD, differences, in_pods, in_settings
from tests.helm.documenting import Entry, entries

ENV = "spec.template.spec.containers[poplar].env"
POP3, LMTP, ADMIN, SWEEP = (f"Deployment/-{part}" for part in ("pop3", "lmtp", "admin", "sweep"))
SERVING = (POP3, LMTP, ADMIN, SWEEP)
JOB = "Job/-migration"
TESTS = tuple(f"Pod/-test-{name}" for name in ("pop3", "pop3s", "lmtp", "admin"))
PARENT = [{"name": "edge"}]
TERMINATED = {"listeners": {"pop3s": {"tls": "terminated"}}, "service": {"pop3s": {"type": "ClusterIP"}}}
TLS_ROUTE = merged(TERMINATED, {"gateway": {"parentRefs": PARENT, "tlsRoute": {"enabled": True, "hostnames": ["a.b"]}}})
TCP_ROUTE = {"gateway": {"parentRefs": PARENT, "tcpRoute": {"enabled": True}}}
GATEWAY = {"gateway": {"create": {"enabled": True, "className": "eg"}, "tcpRoute": {"enabled": True}}}
OWN_GATEWAY = merged(values_of("gateway"), {"gateway": {"tcpRoute": {"enabled": False}}})
PROXIED = {"proxyProtocol": {"mode": "required", "trustedCIDRs": ["10.0.0.0/8"]}}
HPA = {"autoscaling": {"type": "hpa"}}
KEDA = {"autoscaling": {"type": "keda", "keda": {"prometheusUrl": "http://p:9090"}}}
CERTIFICATE = {"tls": {"certificate": {"enabled": True, "dnsNames": ["a.b"], "issuerRef": {"name": "ca"}}}}
TENANTS = {"tenants": {"enabled": True, "files": {"a.yaml": {"tenants": {}}}}}
LOGIN = {"tests": {"login": {"secretName": "probe"}}}


NOTHING: dict[str, Any] = {}


class Case(NamedTuple):
    """A value, what else is given with it and without it, and what it moves."""

    path: str
    value: Any
    moves: dict[str, Any]
    given: dict[str, Any] = NOTHING


def secret(name: str, key: str = "uri") -> dict[str, Any]:
    return {"valueFrom.secretKeyRef.name": name, "valueFrom.secretKeyRef.key": key}


def of_role(role: str, *owners: str) -> list[Case]:
    """The cases of a role's database URL."""
    variable = f"{ENV}[POPLAR_DATABASE__{role.upper()}_URL].valueFrom.secretKeyRef"
    named = {f"{owner} {variable}.name": "own" for owner in owners}
    keyed = {f"{owner} {variable}.key": "url" for owner in owners}
    own = {"database": {role: {"secretName": "own"}}}
    return [
        Case(f"database.{role}.secretName", "own", named),
        Case(f"database.{role}.key", "url", keyed, own),
    ]


def of_resources(key: str, owner: str, container: str = "spec.template.spec.containers[poplar]") -> Case:
    return Case(f"{key}.resources", {"limits": {"cpu": 3}}, {f"{owner} {container}.resources.limits.cpu": 3})


def of_service(name: str) -> list[Case]:
    """The cases of a Service that clients reach."""
    place = f"service.{name}"
    service, probe = f"Service/-{name}", f"Pod/-test-{name} spec.containers[probe].args"
    tls = {"pop3": "starttls", "pop3s": "implicit"}[name]
    args = ["probe", "pop3", f"r-poplar-{name}:1000", "--tls", tls, "--server-name", "*"]
    return [
        Case(f"{place}.type", "ClusterIP", {
            f"{service} spec.type": "ClusterIP", f"{service} spec.externalTrafficPolicy": GONE,
        }),
        Case(f"{place}.port", 1000, {f"{service} spec.ports[{name}].port": 1000, probe: args}),
        Case(f"{place}.nodePort", 30123, {f"{service} spec.ports[{name}].nodePort": 30123}),
        Case(f"{place}.loadBalancerClass", "a/b", {f"{service} spec.loadBalancerClass": "a/b"}),
        Case(
            f"{place}.loadBalancerSourceRanges", ["192.0.2.0/24"],
            {f"{service} spec.loadBalancerSourceRanges": ["192.0.2.0/24"]},
        ),
        Case(f"{place}.annotations", {"a": "b"}, {f"{service} metadata.annotations.a": "b"}),
    ]  # fmt: skip


def port_of(listener: str, owner: str, index: int) -> Case:
    ports = f"spec.template.spec.containers[poplar].ports[{listener}].containerPort"
    moved = in_settings(f"listeners[{listener}].port", 3000) | {f"{owner} {ports}": 3000}
    return Case(f"listeners.{listener}.port", 3000, moved)


CASES = [
    Case("image.repository", "a/b", {"image": "a/b:0.1.0"}),
    Case("image.tag", "1.2", {"image": "poplar:1.2"}),
    Case("image.digest", "sha256:" + "0" * 64, {"image": "poplar@sha256:" + "0" * 64}),
    Case("image.pullPolicy", "Never", {"imagePullPolicy": "Never"}),
    Case("image.pullSecrets", ["a"], {"spec.imagePullSecrets[a].name": "a"}),
    port_of("pop3", POP3, 0),
    port_of("pop3s", POP3, 1),
    port_of("lmtp", LMTP, 2),
    Case("listeners.pop3.tls", "none", in_settings("listeners[pop3].tls", "none") | {
        "Pod/-test-pop3 spec.containers[probe].args": [
            "probe", "pop3", "r-poplar-pop3:110", "--tls", "none", "--server-name", "*",
        ],
    }),
    Case("listeners.pop3s.tls", "terminated", in_settings("listeners[pop3s].tls", "terminated") | {
        "Pod/-test-pop3s spec.containers[probe].args": [
            "probe", "pop3", "r-poplar-pop3s:995", "--tls", "terminated", "--server-name", "*",
        ],
    }, {"service": {"pop3s": {"type": "ClusterIP"}}}),
    Case("listeners.lmtp.tls", "starttls", in_settings("listeners[lmtp].tls", "starttls") | {
        f"{LMTP} spec.template.spec.containers[poplar].volumeMounts[tls-0].{key}": value
        for key, value in (("name", "tls-0"), ("mountPath", "/etc/poplar/tls/pop-example"), ("readOnly", True))
    } | {
        f"{LMTP} spec.template.spec.volumes[tls-0].{key}": value
        for key, value in (("name", "tls-0"), ("secret.secretName", "pop-example"), ("secret.defaultMode", 0o440))
    } | {
        "Pod/-test-lmtp spec.containers[probe].args": [
            "probe", "lmtp", "r-poplar-lmtp:24", "--tls", "starttls", "--server-name", "*",
        ],
    }),
    Case("listeners.ops.port", 9090, in_settings("http.port", 9090) | {
        f"{owner} spec.template.spec.containers[poplar].ports[ops].containerPort": 9090 for owner in SERVING
    } | {"Service/-ops spec.ports[ops].port": 9090}),
    Case("proxyProtocol.trustedCIDRs", ["10.0.0.0/8", "192.0.2.0/24"], {
        key: value for name in ("pop3", "pop3s")
        for key, value in in_settings(f"listeners[{name}].trusted", ["10.0.0.0/8", "192.0.2.0/24"]).items()
    }, PROXIED),
    *of_role("front", POP3),
    *of_role("lmtp", LMTP),
    *of_role("sweep", SWEEP),
    *of_role("api", ADMIN),
    *of_role("owner", JOB),
    Case("database.shared.secretName", "b", {
        f"{owner} {ENV}[POPLAR_DATABASE__{role}_URL].valueFrom.secretKeyRef.name": "b"
        for owner, role in zip((*SERVING, JOB), ("FRONT", "LMTP", "API", "SWEEP", "OWNER"), strict=True)
    }),
    Case("database.shared.key", "b", {
        f"{owner} {ENV}[POPLAR_DATABASE__{role}_URL].valueFrom.secretKeyRef.key": "b"
        for owner, role in zip((*SERVING, JOB), ("FRONT", "LMTP", "API", "SWEEP", "OWNER"), strict=True)
    }),
    Case("redis.secretName", "b", {
        f"{owner} {ENV}[POPLAR_REDIS__URL].valueFrom.secretKeyRef.name": "b" for owner in (POP3, ADMIN)
    }),
    Case("redis.key", "b", {
        f"{owner} {ENV}[POPLAR_REDIS__URL].valueFrom.secretKeyRef.key": "b" for owner in (POP3, ADMIN)
    }),
    Case("objectStore.url", "gs://b", in_settings("object_store.url", "gs://b")),
    Case("objectStore.endpoint", "https://b", in_settings("object_store.endpoint", "https://b")),
    Case("objectStore.region", "b", in_settings("object_store.region", "b")),
    Case("objectStore.account", "b", in_settings("object_store.account", "b"), {"objectStore": {
        "url": "az://b", "account": "a",
    }}),
    Case("objectStore.accessKeyKey", "b", {
        f"{owner} {ENV}[POPLAR_OBJECT_STORE__ACCESS_KEY].valueFrom.secretKeyRef.key": "b" for owner in SERVING
    }, {"objectStore": {"secretName": "bucket"}}),
    Case("objectStore.secretKeyKey", "b", {
        f"{owner} {ENV}[POPLAR_OBJECT_STORE__SECRET_KEY].valueFrom.secretKeyRef.key": "b" for owner in SERVING
    }, {"objectStore": {"secretName": "bucket"}}),
    Case("objectStore.secretName", "b", {
        f"{owner} {ENV}[{name}].{key}": value
        for owner in SERVING for name, of in (
            ("POPLAR_OBJECT_STORE__ACCESS_KEY", "access_key"), ("POPLAR_OBJECT_STORE__SECRET_KEY", "secret_key"),
        )
        for key, value in ({"name": name} | secret("b", of)).items()
    }),
    Case("authorities.secretNames", ["b"], {
        f"{owner} {POD[owner.partition('/')[0]]}spec.{key}": value
        for owner in (*SERVING, JOB) for key, value in {
            "containers[poplar].volumeMounts[ca-0].name": "ca-0",
            "containers[poplar].volumeMounts[ca-0].mountPath": "/etc/poplar/ca/b",
            "containers[poplar].volumeMounts[ca-0].readOnly": True,
            "volumes[ca-0].name": "ca-0",
            "volumes[ca-0].secret.secretName": "b",
            "volumes[ca-0].secret.defaultMode": 0o440,
            "volumes[ca-0].secret.items[0].key": "ca.crt",
            "volumes[ca-0].secret.items[0].path": "ca.crt",
        }.items()
    }),
    Case("tls.secretNames", ["b"], {
        f"{POP3} spec.template.spec.containers[poplar].volumeMounts[tls-0].mountPath": "/etc/poplar/tls/b",
        f"{POP3} spec.template.spec.volumes[tls-0].secret.secretName": "b",
    }),
    Case("tls.certificate.secretName", "b", {
        "Certificate/ spec.secretName": "b",
        f"{POP3} spec.template.spec.containers[poplar].volumeMounts[tls-1].mountPath": "/etc/poplar/tls/b",
        f"{POP3} spec.template.spec.volumes[tls-1].secret.secretName": "b",
    }, CERTIFICATE),
    Case("tls.certificate.dnsNames", ["c.d"], {"Certificate/ spec.dnsNames": ["c.d"]}, CERTIFICATE),
    Case("tls.certificate.issuerRef.name", "b", {"Certificate/ spec.issuerRef.name": "b"}, CERTIFICATE),
    Case("tls.certificate.issuerRef.kind", "ClusterIssuer",
         {"Certificate/ spec.issuerRef.kind": "ClusterIssuer"}, CERTIFICATE),
    Case("tls.certificate.issuerRef.group", "b", {"Certificate/ spec.issuerRef.group": "b"}, CERTIFICATE),
    Case("tls.certificate.duration", "1h", {"Certificate/ spec.duration": "1h"}, CERTIFICATE),
    Case("tls.certificate.renewBefore", "1h", {"Certificate/ spec.renewBefore": "1h"}, CERTIFICATE),
    Case("limits", {"connections": 7}, in_settings("limits.connections", 7)),
    Case("config", {"hostname": "b"}, in_settings("hostname", "b")),
    Case("config.pop3", {"list_utf8": True}, in_settings("pop3.list_utf8", True)),
    Case("config.object_store", {"retries": 9}, in_settings("object_store.retries", 9)),
    Case("config.tls", {"watch_every": 9}, in_settings("tls.watch_every", 9)),
    Case("secretSettings", [{"setting": "hashing.scram_secret", "secretName": "s", "key": "k"}], {
        f"{owner} {ENV}[POPLAR_HASHING__SCRAM_SECRET].{key}": value
        for owner in (*SERVING, JOB)
        for key, value in ({"name": "POPLAR_HASHING__SCRAM_SECRET"} | secret("s", "k")).items()
    }),
    Case("frontEnd.replicas", 9, {f"{POP3} spec.replicas": 9}),
    Case("lmtp.replicas", 9, {f"{LMTP} spec.replicas": 9}),
    Case("admin.replicas", 9, {f"{ADMIN} spec.replicas": 9}),
    of_resources("frontEnd", POP3),
    of_resources("lmtp", LMTP),
    of_resources("admin", ADMIN),
    of_resources("sweep", SWEEP),
    of_resources("migration", JOB),
    Case("sweep.schedule", "1 2 * * *", {"CronJob/-sweep spec.schedule": "1 2 * * *"}, at("sweep.mode", "cronjob")),
    Case("sweep.deadlineSeconds", 99,
         {"CronJob/-sweep spec.jobTemplate.spec.activeDeadlineSeconds": 99}, at("sweep.mode", "cronjob")),
    Case("migration.deadlineSeconds", 99, {f"{JOB} spec.activeDeadlineSeconds": 99}),
    Case("tenants.deadlineSeconds", 99, {"Job/-tenants spec.activeDeadlineSeconds": 99}, TENANTS),
    Case("tenants.files", {"b.yaml": {"tenants": {}}}, {"ConfigMap/-tenants data.b.yaml": "tenants: {}\n"}, TENANTS),
    Case("tenants.secretNames", ["s"], {
        f"Job/-tenants spec.template.spec.{key}": value for key, value in {
            "containers[poplar].volumeMounts[secret-0].name": "secret-0",
            "containers[poplar].volumeMounts[secret-0].mountPath": "/etc/poplar/secrets/s",
            "containers[poplar].volumeMounts[secret-0].readOnly": True,
            "volumes[secret-0].name": "secret-0",
            "volumes[secret-0].secret.secretName": "s",
            "volumes[secret-0].secret.defaultMode": 0o440,
        }.items()
    }, TENANTS),
    *of_service("pop3"),
    *of_service("pop3s"),
    Case("service.lmtp.port", 2424, {
        "Service/-lmtp spec.ports[lmtp].port": 2424,
        "Pod/-test-lmtp spec.containers[probe].args": [
            "probe", "lmtp", "r-poplar-lmtp:2424", "--tls", "none", "--server-name", "*",
        ],
    }),
    Case("service.lmtp.annotations", {"a": "b"}, {"Service/-lmtp metadata.annotations.a": "b"}),
    Case("service.admin.port", 81, {
        "Service/-admin spec.ports[http].port": 81,
        "Pod/-test-admin spec.containers[probe].args": ["probe", "http", "r-poplar-admin:81", "/readyz"],
    }),
    Case("service.admin.annotations", {"a": "b"}, {"Service/-admin metadata.annotations.a": "b"}),
    Case("gateway.create.className", "b", {"Gateway/ spec.gatewayClassName": "b"}, GATEWAY),
    Case("gateway.create.annotations", {"a": "b"}, {"Gateway/ metadata.annotations.a": "b"}, GATEWAY),
    Case("gateway.create.certificateSecretName", "b",
         {"Gateway/ spec.listeners[pop3s].tls.certificateRefs[b].name": "b",
          "Gateway/ spec.listeners[pop3s].tls.certificateRefs[r-poplar-tls].name": GONE}, OWN_GATEWAY),
    Case("gateway.parentRefs", [{"name": "c", "namespace": "d", "sectionName": "e"}], {
        "TCPRoute/-pop3 spec.parentRefs[c].name": "c",
        "TCPRoute/-pop3 spec.parentRefs[c].namespace": "d",
        "TCPRoute/-pop3 spec.parentRefs[c].sectionName": "e",
        "TCPRoute/-pop3 spec.parentRefs[edge].name": GONE,
        "TCPRoute/-pop3 spec.parentRefs[edge].sectionName": GONE,
    }, TCP_ROUTE),
    Case("gateway.tcpRoute.apiVersion", "gateway.networking.k8s.io/v1alpha2",
         {"TCPRoute/-pop3 apiVersion": "gateway.networking.k8s.io/v1alpha2"}, TCP_ROUTE),
    Case("gateway.tcpRoute.sectionName", "b", {"TCPRoute/-pop3 spec.parentRefs[edge].sectionName": "b"}, TCP_ROUTE),
    Case("gateway.tlsRoute.apiVersion", "gateway.networking.k8s.io/v1alpha3",
         {"TLSRoute/-pop3s apiVersion": "gateway.networking.k8s.io/v1alpha3"}, TLS_ROUTE),
    Case("gateway.tlsRoute.sectionName", "b", {"TLSRoute/-pop3s spec.parentRefs[edge].sectionName": "b"}, TLS_ROUTE),
    Case("gateway.tlsRoute.hostnames", ["c.d"], {"TLSRoute/-pop3s spec.hostnames": ["c.d"]}, TLS_ROUTE),
    Case("autoscaling.minReplicas", 5, {"HorizontalPodAutoscaler/-pop3 spec.minReplicas": 5}, HPA),
    Case("autoscaling.maxReplicas", 50, {"ScaledObject/-pop3 spec.maxReplicaCount": 50}, KEDA),
    Case("autoscaling.cpuPercent", 70, {
        "HorizontalPodAutoscaler/-pop3 spec.metrics[0].resource.target.averageUtilization": 70,
    }, HPA),
    Case("autoscaling.sessionsPerPod", 70, {
        "HorizontalPodAutoscaler/-pop3 spec.metrics[1].pods.target.averageValue": "70",
    }, HPA),
    Case("autoscaling.hpa.sessionsMetric", "b", {
        "HorizontalPodAutoscaler/-pop3 spec.metrics[1].pods.metric.name": "b",
    }, HPA),
    Case("autoscaling.keda.prometheusUrl", "http://b",
         {"ScaledObject/-pop3 spec.triggers[1].metadata.serverAddress": "http://b"}, KEDA),
    Case("autoscaling.scaleDownSeconds", 70,
         {"HorizontalPodAutoscaler/-pop3 spec.behavior.scaleDown.stabilizationWindowSeconds": 70}, HPA),
    Case("monitoring.podMonitor.interval", "5s", {"PodMonitor/ spec.podMetricsEndpoints[0].interval": "5s"},
         at("monitoring.podMonitor.enabled", True)),
    Case("monitoring.podMonitor.labels", {"a": "b"}, {"PodMonitor/ metadata.labels.a": "b"},
         at("monitoring.podMonitor.enabled", True)),
    Case("monitoring.serviceMonitor.interval", "5s", {"ServiceMonitor/ spec.endpoints[0].interval": "5s"},
         at("monitoring.serviceMonitor.enabled", True)),
    Case("monitoring.serviceMonitor.labels", {"a": "b"}, {"ServiceMonitor/ metadata.labels.a": "b"},
         at("monitoring.serviceMonitor.enabled", True)),
    Case("serviceAccount.annotations", {"a": "b"}, {"ServiceAccount/ metadata.annotations.a": "b"}),
    Case("podDisruptionBudget.maxUnavailable", 2, {
        f"PodDisruptionBudget/-{part} spec.maxUnavailable": 2 for part in ("pop3", "lmtp", "admin")
    }),
    Case("pod.annotations", {"a": "b"}, {"pods but tests": ("metadata.annotations.a", "b")}),
    Case("pod.labels", {"a": "b"}, {"pods but tests": ("metadata.labels.a", "b")}),
    Case("pod.nodeSelector", {"a": "b"}, {"spec.nodeSelector.a": "b"}),
    Case("pod.tolerations", [{"operator": "Exists"}], {"spec.tolerations[0].operator": "Exists"}),
    Case("pod.affinity", {"podAffinity": {}}, {"spec.affinity.podAffinity": {}}),
    Case("pod.priorityClassName", "b", {"spec.priorityClassName": "b"}),
    Case("pod.whenUnsatisfiable", "DoNotSchedule", {
        f"{owner} spec.template.spec.topologySpreadConstraints[{number}].whenUnsatisfiable": "DoNotSchedule"
        for owner in SERVING for number in (0, 1)
    }),
    Case("tests.proxyFrom", "192.0.2.77", {
        f"Pod/-test-{name} spec.containers[probe].args": [
            "probe", "pop3", f"r-poplar-{name}:{port}", "--tls", tls, "--server-name", "*",
            "--proxy-from", "192.0.2.77",
        ] for name, port, tls in (("pop3", 110, "starttls"), ("pop3s", 995, "implicit"))
    }, PROXIED),
    Case("tests.serverName", "b.c", {
        "Pod/-test-lmtp spec.containers[probe].args": [
            "probe", "lmtp", "r-poplar-lmtp:24", "--tls", "none", "--server-name", "b.c",
        ],
    } | {
        f"Pod/-test-{name} spec.containers[probe].args": [
            "probe", "pop3", f"r-poplar-{name}:{port}", "--tls", tls, "--server-name", "b.c",
        ] for name, port, tls in (("pop3", 110, "starttls"), ("pop3s", 995, "implicit"))
    }),
    *(
        Case(f"tests.login.{key}", "b", {
            f"Pod/-test-{name} spec.containers[probe].env[PROBE_{variable}].valueFrom.secretKeyRef.key": "b"
            for name in ("pop3", "pop3s")
        }, LOGIN) for key, variable in (("userKey", "USER"), ("passwordKey", "PASSWORD"))
    ),
    Case("tests.login.secretName", "b", {
        f"Pod/-test-{name} spec.containers[probe].env[PROBE_{variable}].valueFrom.secretKeyRef.name": "b"
        for name in ("pop3", "pop3s") for variable in ("USER", "PASSWORD")
    }, LOGIN),
]  # fmt: skip

SWITCHES: dict[str, tuple[set[str], dict[str, Any]]] = {
    "frontEnd.enabled": ({
        "-Deployment/-pop3", "-Service/-pop3", "-Service/-pop3s", "-PodDisruptionBudget/-pop3", "-NetworkPolicy/-pop3",
        "-Pod/-test-pop3", "-Pod/-test-pop3s",
    }, {}),
    "lmtp.enabled": ({
        "-Deployment/-lmtp", "-Service/-lmtp", "-PodDisruptionBudget/-lmtp", "-NetworkPolicy/-lmtp", "-Pod/-test-lmtp",
    }, {}),
    "admin.enabled": ({
        "-Deployment/-admin", "-Service/-admin", "-PodDisruptionBudget/-admin", "-NetworkPolicy/-admin",
        "-Pod/-test-admin",
    }, {}),
    "sweep.enabled": ({"-Deployment/-sweep", "-NetworkPolicy/-sweep"}, {}),
    "migration.enabled": ({"-Job/-migration", "-ConfigMap/-migration", "-NetworkPolicy/-migration"}, {}),
    "networkPolicy.enabled": ({
        f"-NetworkPolicy/-{part}" for part in ("pop3", "lmtp", "admin", "sweep", "migration")
    }, {}),
    "podDisruptionBudget.enabled": ({f"-PodDisruptionBudget/-{part}" for part in ("pop3", "lmtp", "admin")}, {}),
    "tests.enabled": ({f"-{name}" for name in TESTS}, {}),
    "tls.certificate.enabled": ({"+Certificate/"}, CERTIFICATE),
    "tenants.enabled": ({"+Job/-tenants", "+ConfigMap/-tenants", "+NetworkPolicy/-tenants"}, TENANTS),
    "gateway.create.enabled": ({"+Gateway/"}, merged(GATEWAY, {"gateway": {"parentRefs": PARENT}})),
    "gateway.tcpRoute.enabled": ({"+TCPRoute/-pop3"}, TCP_ROUTE),
    "gateway.tlsRoute.enabled": ({"+TLSRoute/-pop3s"}, TLS_ROUTE),
    "monitoring.podMonitor.enabled": ({"+PodMonitor/"}, {}),
    "monitoring.serviceMonitor.enabled": ({"+ServiceMonitor/"}, {}),
}  # fmt: skip
"""Values that switch whole objects on or off, with these objects; and what else is given."""

ELSEWHERE = {
    "global": "test_nothing_of_global_reaches_an_object",
    "nameOverride": "test_names",
    "fullnameOverride": "test_names",
    "commonLabels": "test_labels_of_all_reach_every_object_and_pod",
    "listeners.pop3.enabled": "test_a_listener_that_is_off_is_nowhere",
    "listeners.pop3s.enabled": "test_a_listener_that_is_off_is_nowhere",
    "proxyProtocol.mode": "test_the_proxy_header_is_required_of_pop3_alone",
    "drain.preStopSeconds": "test_drain",
    "drain.sessionGraceSeconds": "test_drain",
    "drain.marginSeconds": "test_drain",
    "sweep.mode": "test_the_sweep_is_a_worker_or_a_cron_job",
    "autoscaling.type": "test_scaling",
    "networkPolicy.pop3From": "test_network",
    "networkPolicy.lmtpFrom": "test_network",
    "networkPolicy.adminFrom": "test_network",
    "networkPolicy.opsFrom": "test_network",
    "networkPolicy.egress.enabled": "test_network",
    "networkPolicy.egress.to": "test_network",
    "monitoring.rules.enabled": "test_monitoring",
    "monitoring.rules.labels": "test_monitoring",
    "monitoring.dashboards.enabled": "test_monitoring",
    "monitoring.dashboards.labels": "test_monitoring",
    "monitoring.dashboards.annotations": "test_monitoring",
    "externalSecrets": "test_hooks",
    "serviceAccount.create": "test_names",
    "serviceAccount.name": "test_names",
}
"""Values that a test of their own looks at."""


@pytest.mark.parametrize("case", CASES, ids=[f"{number}-{case.path}" for number, case in enumerate(CASES)])
def test_a_value_moves_its_field_and_no_other(case: Case) -> None:
    base = merged(LEAST, case.given)
    before, after = render(base), render(merged(base, at(case.path, case.value)))
    assert differences(before, after) == expanded(case.moves, before)


def expanded(moves: dict[str, Any], before: Rendered) -> dict[str, Any]:
    """The fields; one that names no object is of every pod, or of every container."""
    result: dict[str, Any] = {}
    for field, value in moves.items():
        if field in {"image", "imagePullPolicy"}:
            result |= in_pods(before, f"spec.containers[poplar].{field}", value, but=TESTS)
            result |= {f"{name} spec.containers[probe].{field}": value for name in TESTS}
        elif field == "pods but tests":
            result |= in_pods(before, *value, but=TESTS)
        elif "/" not in field.partition(" ")[0]:
            result |= in_pods(before, field, value)
        else:
            result[field] = value
    return result


@pytest.mark.parametrize("path", SWITCHES)
def test_a_switch_brings_or_takes_whole_objects(path: str) -> None:
    objects, given = SWITCHES[path]
    base = merged(LEAST, given)
    on = not next(iter(objects)).startswith("-")
    before, after = (render(merged(base, at(path, each))) for each in (not on, on))
    found = differences(before, after)
    assert {each for each in found if each[0] in "+-"} == objects
    others = {each.partition(" ")[0] for each in found if each[0] not in "+-"}
    # A certificate is mounted, and a route gets one more parent.
    assert others <= {POP3, "TCPRoute/-pop3"}


def leaves(of: list[Entry]) -> list[str]:
    return [path for entry in of for path in (leaves(entry.children) if entry.children else [".".join(entry.path)])]


def test_every_value_has_a_case() -> None:
    covered = {case.path for case in CASES} | set(SWITCHES) | set(ELSEWHERE)
    known = leaves(entries())
    assert [path for path in known if path not in covered] == []
    assert [path for path in covered if path not in known and not path.startswith("config.")] == []
