"""The image: the same layers twice, nothing in it that installs or compiles, and mail through it, locked down.

Needs a Docker engine (`tests/backends/engine.py`); without one these tests skip and say so.
"""

import poplib
import re
import smtplib
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import trustme
import yaml

from tests.backends.demo import RunningDemo
from tests.backends.engine import Engine
from tests.backends.image import EPOCH, LOCKED_DOWN, Built
from tests.backends.s3 import BUCKET, S3Server
from tests.image.conftest import Container, running

# One image is built for all of these, so they share a process.
pytestmark = [pytest.mark.timeout(400), pytest.mark.xdist_group("image")]


def test_two_builds_without_a_cache_have_the_same_layers(built: Built, rebuilt: Built) -> None:
    layers = built.inspect(".RootFS.Layers")
    assert layers == rebuilt.inspect(".RootFS.Layers")
    assert len(layers) == 2  # type: ignore[arg-type]


def test_it_says_what_it_is_who_runs_it_and_how_it_ends(built: Built) -> None:
    config = built.inspect(".Config")
    assert isinstance(config, dict)
    assert (config["User"], config["StopSignal"]) == ("10001:10001", "SIGTERM")
    assert (config["Entrypoint"], config["Cmd"]) == (["poplar"], ["serve"])
    assert config["Healthcheck"]["Test"] == ["CMD", "poplar", "probe", "live"]
    labels = {name.removeprefix("org.opencontainers.image."): value for name, value in config["Labels"].items()}
    assert labels["title"] == "Poplar"
    assert labels["revision"] == "0123abc"
    assert labels["version"] in built.engine("run", "--rm", *LOCKED_DOWN, built.name, "version")


def test_nothing_in_it_installs_or_compiles(built: Built) -> None:
    assert built.sh("command -v pip pip3 gcc cc c++ make ld; true") == ""
    said = built.sh("/opt/poplar/bin/python -m pip; /opt/poplar/bin/python -m ensurepip; python3 -m pip; true")
    assert said.count("No module named") == 3
    assert built.sh("id -u").strip() == "10001"
    assert built.sh("touch /a /tmp/a /opt/poplar/a 2>&1; true").count("Read-only file system") == 3


def test_no_file_was_made_at_the_time_of_the_build(built: Built) -> None:
    assert built.sh(f"find /opt /usr /lib /bin -newermt @{EPOCH}") == ""


@dataclass(frozen=True)
class Site:
    """The settings of a Poplar whose parts run in containers, over the demo's Postgres and Valkey, and an S3 server."""

    docker: Engine
    image: str
    folder: Path

    @contextmanager
    def part(self, verb: str) -> Iterator[Container]:
        """`poplar VERB` in a container without any right, ended as Kubernetes would."""
        mounts = [f"--volume={self.folder}:/etc/poplar:ro", "--env=POPLAR_CONFIG=/etc/poplar/poplar.yaml"]
        health = ["--health-interval=1s", "--health-start-period=1s"]
        with running(self.docker, self.image, [*health, *mounts], [verb]) as container:
            yield container


@pytest.fixture(scope="module")
def site(
    built: Built, demo: RunningDemo, bucket: S3Server, ca: trustme.CA, tmp_path_factory: pytest.TempPathFactory
) -> Site:
    folder = tmp_path_factory.mktemp("site")
    pair = ca.issue_cert("pop.example")
    (folder / "tls").mkdir()
    pair.cert_chain_pems[0].write_to_path(folder / "tls/pop.crt")
    pair.private_key_pem.write_to_path(folder / "tls/pop.key")
    settings = yaml.safe_load((demo.state / "state/poplar.yaml").read_text("utf-8"))
    options = bucket.options
    settings |= {
        "object_store": {
            "url": f"s3://{BUCKET}/image", "endpoint": options.endpoint, "region": options.region, "allow_http": True,
            "access_key": options.access_key, "secret_key": options.secret_key,
        },
        "listeners": [each | {"port": 0} for each in settings["listeners"]],
        "tls": {"directory": "/etc/poplar/tls"},
        "http": {"host": "127.0.0.1", "port": 0},
    }  # fmt: skip
    # The demo's file of events is not in the container.
    settings.pop("events", None)
    (folder / "poplar.yaml").write_text(yaml.safe_dump(settings), "utf-8")
    for path in [folder, *folder.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)
    return Site(built.engine, built.name, folder)


def test_mail_is_delivered_and_read_through_containers_without_any_right(
    site: Site, demo: RunningDemo, ca: trustme.CA
) -> None:
    account = demo.new_account()
    trust = ssl.create_default_context()
    ca.configure_trust(trust)
    with site.part("lmtp") as lmtp, smtplib.LMTP("127.0.0.1", lmtp.port("lmtp"), local_hostname="a") as mta:
        refused = mta.sendmail("a@example.org", [account.address], b"Subject: In a box\r\n\r\nHello.\r\n")
        assert refused == {}
    with site.part("serve") as serve:
        pop3 = poplib.POP3("127.0.0.1", serve.port("pop3"), timeout=30)
        pop3.host = "pop.example"
        pop3.stls(trust)
        pop3.user(account.address)
        pop3.pass_(account.password)
        assert pop3.stat()[0] == 1
        assert b"Hello." in pop3.retr(1)[1]
        pop3.dele(1)
        assert pop3.quit().startswith(b"+OK")
        status = site.docker("exec", serve.name, "cat", "/proc/1/status")
        assert re.findall(r"^(CapEff|CapBnd|NoNewPrivs):\s*(\S+)", status, re.MULTILINE) == [
            ("CapEff", "0" * 16), ("CapBnd", "0" * 16), ("NoNewPrivs", "1"),
        ]  # fmt: skip
        site.docker("stop", "--time=40", serve.name)
        assert serve.state("ExitCode") == "0"
        said = [line["event"] for line in serve.lines()]
        assert "drained" in said
        assert said[-1] == "ended"


def test_the_container_tells_its_health(site: Site) -> None:
    text = (site.folder / "poplar.yaml").read_text("utf-8")
    fixed = yaml.safe_load(text) | {"http": {"host": "127.0.0.1", "port": 18_080}}
    (site.folder / "poplar.yaml").write_text(yaml.safe_dump(fixed), "utf-8")
    with site.part("serve") as serve:
        assert "alive" in site.docker("exec", serve.name, "poplar", "probe", "live")
        for _ in range(300):
            if serve.state("Health.Status") == "healthy":
                return
            time.sleep(0.1)
        raise AssertionError(site.docker("inspect", serve.name))
