"""Containers of the image, as the tests of it start them.

Owns their life. Every one runs without any right and without a writable file (`LOCKED_DOWN`).
"""

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from uuid import uuid4

import pytest

from tests.backends.engine import Engine
from tests.backends.image import LOCKED_DOWN
from tests.backends.s3 import S3Server, start_s3


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
