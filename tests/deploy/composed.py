"""deploy/compose started by Docker Compose from a copy of the tree, as one who tries Poplar out would start it.

Owns the copy, the containers' life and what this machine asks for: the build's way to the index, fewer descriptors,
and no Grafana where there is no image of it. Refuses to know what is done with it.
"""

import os
import resource
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from tests.backends.engine import CLIENT, ROOT, Engine, engine
from tests.deploy.standing_in import make_images

PROJECT = "poplar-test"
LEFT_BEHIND = shutil.ignore_patterns(".git", ".venv*", ".tools", ".demo", ".faults", ".*_cache", "__pycache__", "tests")
HAPROXYS_DESCRIPTORS = 40_100


@dataclass(frozen=True)
class Composed:
    """The project in `folder`, a copy of deploy/compose."""

    program: Sequence[str]
    host: str
    folder: Path

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
        return self("logs", "--no-log-prefix", service).count('"protocol": "pop3"')


def compose_program() -> Sequence[str]:
    """Docker Compose 2 or later: the one of .tools, the plugin of Docker's client, or a program of its own."""
    for command in ([str(ROOT / ".tools/docker-compose")], [str(CLIENT), "compose"], ["docker-compose"]):
        if shutil.which(command[0]) and "Docker Compose version" in _said([*command, "version"]):
            return command
    pytest.skip("Docker Compose 2 is not installed: make compose builds it")


def _said(command: Sequence[str]) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


@contextmanager
def composed(place: Path) -> Iterator[Composed]:
    """All of it, up and healthy; with it go its volumes."""
    program = compose_program()
    with engine(place, networks=True) as docker:
        folder = _copy(place, docker)
        running = Composed(program, docker.host, folder)
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


def _copy(place: Path, docker: Engine) -> Path:
    shutil.copytree(ROOT, place / "tree", ignore=LEFT_BEHIND)
    folder = place / "tree" / "deploy" / "compose"
    shutil.copy(folder / "example.env", folder / ".env")
    subprocess.run(["./certificate.sh"], cwd=folder, check=True, capture_output=True)
    services = yaml.safe_load((folder / "compose.yaml").read_text("utf-8"))["services"]
    missing = make_images(docker, place, {each["image"] for each in services.values() if "build" not in each})
    own: dict[str, object] = {name: _built_here() for name, each in services.items() if "build" in each}
    absent = {name: {"profiles": ["absent"]} for name, each in services.items() if each["image"] in missing}
    (folder / "here.yaml").write_text(yaml.safe_dump({"services": own | absent, "secrets": _authorities()}), "utf-8")
    _spare_descriptors(place / "tree" / "deploy" / "haproxy" / "haproxy.cfg")
    return folder


def _authorities() -> dict[str, object]:
    bundle = os.environ.get("PIP_CERT") or os.environ.get("SSL_CERT_FILE")
    return {"ca": {"file": bundle}} if bundle else {}


def _built_here() -> dict[str, object]:
    return {"build": {"network": "host", "secrets": list(_authorities())}}


def _spare_descriptors(configuration: Path) -> None:
    """HAProxy refuses to start where it can't have the descriptors of so many clients."""
    allowed = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if allowed != resource.RLIM_INFINITY and allowed < HAPROXYS_DESCRIPTORS:
        text = configuration.read_text("utf-8")
        configuration.write_text(text.replace("maxconn 20000", "maxconn 400"), "utf-8")
