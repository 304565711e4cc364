"""The pods that the chart renders, as containers of the image: migration, parts, first tenants and `helm test`.

What a cluster would add (Services, DNS, Secrets' mounts) is stood in for; commands, settings, environment and mounts
are the chart's own, behind a PROXY header.
"""

import smtplib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import trustme
import yaml

from service.embedded.process import free_port
from tests.backends.demo import RunningDemo
from tests.backends.engine import Engine
from tests.backends.image import LOCKED_DOWN, Built
from tests.backends.s3 import BUCKET, S3Server
from tests.helm.charting import LEAST, Rendered, merged, render
from tests.image.conftest import Container, running

# One image is built for all of these, so they share a process.
pytestmark = [pytest.mark.timeout(400), pytest.mark.xdist_group("image")]

ADDRESS, PASSWORD = "probe@chart.example", "a pass word of the test account"
TENANT = {
    "tenants": {
        "chart": {
            "domains": {"chart.example": {}},
            "maildrops": {ADDRESS: {"credentials": {"main": {"password_file": "/etc/poplar/secrets/probe/password"}}}},
        }
    }
}


@dataclass(frozen=True)
class Cluster:
    """What stands in for one: an engine, the rendered release, and its Secrets as folders of files."""

    docker: Engine
    image: str
    rendered: Rendered
    secrets: Path
    maps: Path

    def pod(self, kind: str, name: str) -> dict[str, Any]:
        return dict(self.rendered.pods()[f"{kind} r-poplar{name}"]["spec"])

    def options(self, spec: dict[str, Any]) -> list[str]:
        """Environment and mounts of the pod's container, and its user."""
        (container,) = spec["containers"]
        mounts = {mount["name"]: mount["mountPath"] for mount in container.get("volumeMounts", [])}
        sources = {volume["name"]: self.source(volume) for volume in spec.get("volumes", [])}
        variables = [f"--env={each['name']}={self.value(each)}" for each in container.get("env", [])]
        user = spec["securityContext"]
        return [
            *variables,
            *(f"--volume={sources[name]}:{path}:ro" for name, path in mounts.items()),
            f"--user={user['runAsUser']}:{user['runAsGroup']}",
        ]

    def source(self, volume: dict[str, Any]) -> Path:
        if "secret" in volume:
            return self.secrets / str(volume["secret"]["secretName"])
        name = str(volume["configMap"]["name"])
        folder = self.maps / name
        if not folder.exists():
            folder.mkdir()
            for key, text in self.rendered.of("ConfigMap")[name]["data"].items():
                (folder / key).write_text(text, "utf-8")
        readable(self.maps)
        return folder

    def value(self, variable: dict[str, Any]) -> str:
        if "value" in variable:
            return str(variable["value"])
        reference = variable["valueFrom"]["secretKeyRef"]
        return Path(self.secrets, reference["name"], reference["key"]).read_text("utf-8")

    def once(self, kind: str, name: str, **replaced: str) -> str:
        """What a pod that ends says."""
        spec = self.pod(kind, name)
        arguments = [replaced.get("place", each) if ":" in each else each for each in spec["containers"][0]["args"]]
        return self.docker("run", "--rm", *LOCKED_DOWN, *self.options(spec), self.image, *arguments)

    @contextmanager
    def part(self, name: str) -> Iterator[Container]:
        spec = self.pod("Deployment", name)
        with running(self.docker, self.image, self.options(spec), spec["containers"][0]["args"]) as container:
            yield container


def readable(folder: Path) -> None:
    for path in [folder, *folder.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)


@pytest.fixture
def cluster(built: Built, demo: RunningDemo, bucket: S3Server, ca: trustme.CA, tmp_path: Path) -> Cluster:
    known = yaml.safe_load((demo.state / "state/poplar.yaml").read_text("utf-8"))
    urls = {role: known["database"][f"{role}_url"] for role in ("owner", "front", "lmtp", "sweep", "api")}
    files = {f"db-{role}/uri": url for role, url in urls.items()} | {
        "cache/url": known["redis"]["url"],
        "bucket/access_key": bucket.options.access_key,
        "bucket/secret_key": bucket.options.secret_key,
        "probe/username": ADDRESS,
        "probe/password": PASSWORD,
    }
    pair = ca.issue_cert("pop.chart.example")
    files["certificate/tls.crt"] = pair.cert_chain_pems[0].bytes().decode()
    files["certificate/tls.key"] = pair.private_key_pem.bytes().decode()
    for name, text in files.items():
        path = tmp_path / "secrets" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    (tmp_path / "maps").mkdir()
    readable(tmp_path / "secrets")
    return Cluster(built.engine, built.name, render(values(bucket)), tmp_path / "secrets", tmp_path / "maps")


def values(bucket: S3Server) -> dict[str, Any]:
    """Values for this machine: free ports, and everything behind a PROXY header."""
    ports = {name: {"port": free_port()} for name in ("pop3", "pop3s", "lmtp", "ops")}
    return merged(LEAST, {
        "listeners": ports,
        "database": {role: {"secretName": f"db-{role}"} for role in ("owner", "front", "lmtp", "sweep", "api")},
        "redis": {"secretName": "cache"},
        "objectStore": {
            "url": f"s3://{BUCKET}/chart", "endpoint": bucket.endpoint, "region": "us-east-1", "secretName": "bucket",
        },
        "config": {"object_store": {"allow_http": True}, "hostname": "pop.chart.example"},
        "tls": {"secretNames": ["certificate"]},
        "proxyProtocol": {"mode": "required", "trustedCIDRs": ["127.0.0.0/8"]},
        "tenants": {"enabled": True, "files": {"chart.yaml": TENANT}, "secretNames": ["probe"]},
        "tests": {"login": {"secretName": "probe"}},
    })  # fmt: skip


def test_a_release_migrates_makes_its_tenants_takes_mail_and_passes_its_own_test(cluster: Cluster) -> None:
    ports = {each["name"]: each["port"] for each in cluster.rendered.settings()["listeners"]}
    assert "nothing to do" in cluster.once("Job", "-migration")
    assert "chart" in cluster.once("Job", "-tenants")
    with cluster.part("-lmtp"):
        said = cluster.once("Pod", "-test-lmtp", place=f"127.0.0.1:{ports['lmtp']}")
        assert said.startswith("greeting: 220 pop.chart.example")
        with smtplib.LMTP("127.0.0.1", ports["lmtp"], local_hostname="a") as mta:
            assert mta.sendmail("a@example.org", [ADDRESS], b"Subject: By chart\r\n\r\nHello.\r\n") == {}
    with cluster.part("-pop3") as front:
        for name in ("pop3", "pop3s"):
            said = cluster.once("Pod", f"-test-{name}", place=f"127.0.0.1:{ports[name]}")
            assert "\nSTAT: 1 messages, " in said
            assert said.splitlines()[-1].startswith("QUIT: +OK")
        sessions = [line for line in front.lines() if line.get("client") == "192.0.2.1"]
        assert len(sessions) >= 2


@pytest.mark.parametrize("part", ["-admin", "-sweep"])
def test_the_other_parts_serve_their_ops_port(cluster: Cluster, part: str) -> None:
    ops = cluster.rendered.settings()["http"]["port"]
    with cluster.part(part):
        assert cluster.once("Pod", "-test-admin", place=f"127.0.0.1:{ops}") == "/readyz: ready\n"
