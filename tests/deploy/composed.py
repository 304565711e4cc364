"""deploy/compose started by Docker Compose from a copy of the tree, as one who tries Poplar out would start it.

Owns the copy, the containers' life and what this machine asks for: free ports, the build's way to the index, fewer
descriptors, and no Grafana where there is no image of it. The image's health checks come sooner, as each start is
waited for. Refuses to know what is done with it.
"""

import os
import resource
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml

from service.embedded.process import free_port
from tests.backends.engine import ROOT, Engine
from tests.backends.image import authorities, build_arguments
from tests.deploy.compose_program import compose_program
from tests.deploy.standing_in import make_images

PROJECT = "poplar-test"
OURS = "poplar:local"
LEFT_BEHIND = shutil.ignore_patterns(".git", ".venv*", ".tools", ".demo", ".faults", ".*_cache", "__pycache__", "tests")
HAPROXYS_DESCRIPTORS = 40_100
PORTS = ("POP3_PORT", "POP3S_PORT", "LMTP_PORT", "API_PORT", "PROMETHEUS_PORT", "GRAFANA_PORT")
SOON = "5s"


@dataclass(frozen=True)
class Composed:
    """The project in `folder`, a copy of deploy/compose, with its ports on this machine."""

    program: Sequence[str]
    host: str
    folder: Path
    ports: Mapping[str, int]

    def __call__(self, *arguments: str, seconds: float = 600) -> str:
        """What `docker compose` says to these arguments; an AssertionError with all of it when it fails."""
        files = ["--file=compose.yaml", "--file=here.yaml"]
        done = subprocess.run(
            [*self.program, f"--project-name={PROJECT}", *files, *arguments],
            cwd=self.folder, env=dict(os.environ) | {"DOCKER_HOST": self.host},
            capture_output=True, text=True, timeout=seconds, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"docker compose {' '.join(arguments)}\n{done.stdout}\n{done.stderr[-5000:]}"
        return done.stdout

    def sessions(self, service: str) -> int:
        """How many POP3 sessions of this service have ended so far."""
        return self("logs", "--no-log-prefix", service).count('"protocol":"pop3"')


@contextmanager
def composed(place: Path, docker: Engine, base: str) -> Iterator[Composed]:
    """All of it, up and healthy, with images built on `base`; its volumes go with it."""
    program = compose_program()
    folder, ports = _copy(place, docker, base), {name: free_port() for name in PORTS}
    variables = "".join(f"{name}={port}\n" for name, port in ports.items())
    (folder / ".env").write_text((folder / "example.env").read_text("utf-8") + variables, "utf-8")
    running = Composed(program, docker.host, folder, ports)
    try:
        _begin(running)
        yield running
    finally:
        running("down", "--volumes", "--timeout=10")


def _begin(running: Composed) -> None:
    try:
        running("up", "--build", "--detach", "--wait", seconds=1200)
    except AssertionError as error:
        error.add_note(running("logs", "--tail=20"))
        raise


def _copy(place: Path, docker: Engine, base: str) -> Path:
    shutil.copytree(ROOT, place / "tree", ignore=LEFT_BEHIND)
    folder = place / "tree" / "deploy" / "compose"
    subprocess.run(["./certificate.sh"], cwd=folder, check=True, capture_output=True)
    services = yaml.safe_load((folder / "compose.yaml").read_text("utf-8"))["services"]
    named = {each["image"] for each in services.values()} - {OURS}
    missing = make_images(docker, base, place, named)
    own: dict[str, object] = {name: _ours(each, base) for name, each in services.items() if each["image"] == OURS}
    absent = {name: {"profiles": ["absent"]} for name, each in services.items() if each["image"] in missing}
    bundle = authorities()
    secrets = {"secrets": {"ca": {"file": bundle}}} if bundle else {}
    (folder / "here.yaml").write_text(yaml.safe_dump({"services": own | absent} | secrets), "utf-8")
    _spare_descriptors(place / "tree" / "deploy" / "haproxy" / "haproxy.cfg")
    return folder


def _ours(service: Mapping[str, object], base: str) -> dict[str, object]:
    """As the other tests build the image, so that the engine has most of it already."""
    secrets = ["ca"] if authorities() else []
    build = {"network": "host", "args": dict(build_arguments(base)), "secrets": secrets}
    return {"healthcheck": {"interval": SOON}} | ({"build": build} if "build" in service else {})


def _spare_descriptors(configuration: Path) -> None:
    """HAProxy refuses to start where it can't have the descriptors of so many clients."""
    allowed = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if allowed != resource.RLIM_INFINITY and allowed < HAPROXYS_DESCRIPTORS:
        text = configuration.read_text("utf-8")
        configuration.write_text(text.replace("maxconn 20000", "maxconn 400"), "utf-8")
