"""The image of this checkout, built twice, and containers of it.

Owns the flags under which every container runs: no right, no writable file. Needs a Docker engine, and skips without.
"""

import json
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from uuid import uuid4

import pytest

from tests.backends.engine import Engine, base_image, engine
from tests.backends.s3 import S3Server, start_s3

EPOCH = "1700000000"
LOCKED_DOWN = [
    "--read-only",
    "--cap-drop=ALL",
    "--security-opt=no-new-privileges",
    "--network=host",
    "--pids-limit=200",
]


@dataclass(frozen=True)
class Built:
    """Two images of one commit, the second built without any cache, on one engine."""

    engine: Engine
    first: str
    second: str

    def inspect(self, form: str, image: str = "") -> object:
        return json.loads(self.engine("image", "inspect", "--format", f"{{{{json {form}}}}}", image or self.first))

    def sh(self, script: str) -> str:
        return self.engine("run", "--rm", *LOCKED_DOWN, "--entrypoint=sh", self.first, "-c", script)


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Built]:
    folder = tmp_path_factory.mktemp("engine")
    with engine(folder) as docker:
        base = base_image(docker, folder)
        first, second = (build(docker, base, f"poplar-test:{each}") for each in ("first", "second"))
        yield Built(docker, first, second)


def build(docker: Engine, base: str, tag: str) -> str:
    arguments = {"BASE_IMAGE": base, "SOURCE_DATE_EPOCH": EPOCH, "REVISION": "0123abc"}
    given = [f"--build-arg={name}={value}" for name, value in arguments.items()]
    bundle = os.environ.get("PIP_CERT") or os.environ.get("SSL_CERT_FILE")
    secret = [f"--secret=id=ca,src={bundle}"] if bundle else []
    docker("build", "--no-cache", "--network=host", *given, *secret, f"--tag={tag}", ".", seconds=420)
    return tag


@dataclass(frozen=True)
class Container:
    """A part that runs."""

    docker: Engine
    name: str

    def lines(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in self.docker("logs", self.name).splitlines() if line.startswith("{")]

    def await_line(self, event: str) -> dict[str, object]:
        """The first line of this event, once it is there."""
        for _ in range(300):
            found = [line for line in self.lines() if line.get("event") == event]
            if found:
                return found[0]
            time.sleep(0.1)
        raise AssertionError(self.docker("logs", self.name))

    def port(self, listener: str) -> int:
        listeners = self.await_line("serving")["listeners"]
        assert isinstance(listeners, dict)
        return int(str(listeners[listener]).rpartition(":")[2])

    def state(self, form: str) -> str:
        return self.docker("inspect", "--format", f"{{{{.State.{form}}}}}", self.name).strip()


@contextmanager
def running(docker: Engine, image: str, options: Sequence[str], arguments: Sequence[str]) -> Iterator[Container]:
    """A container of `poplar VERB` that serves, ended in the end however the test ends."""
    name = f"poplar-{uuid4().hex[:12]}"
    docker("run", "--detach", f"--name={name}", *LOCKED_DOWN, *options, image, *arguments)
    try:
        container = Container(docker, name)
        container.await_line("sweeping" if arguments[0] == "sweep" else "serving")
        yield container
    finally:
        docker("rm", "--force", name)


@pytest.fixture(scope="session")
def bucket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    server = start_s3(tmp_path_factory.mktemp("s3"))
    yield server
    server.end()
