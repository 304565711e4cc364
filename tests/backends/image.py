"""The image of this checkout, and the engine that holds it; built once for all tests of a process.

Owns the way to the index while it is built, and what it is built on. Import `docker_engine`, `image_base`, `built` and
`rebuilt` into a conftest to use them. Skips where there is no engine (`engine.py`).
"""

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pytest

from tests.backends.engine import Engine, base_image, engine

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
    """The image `name` on an engine."""

    engine: Engine
    name: str

    def inspect(self, form: str) -> object:
        return json.loads(self.engine("image", "inspect", "--format", f"{{{{json {form}}}}}", self.name))

    def sh(self, script: str) -> str:
        return self.engine("run", "--rm", *LOCKED_DOWN, "--entrypoint=sh", self.name, "-c", script)


@pytest.fixture(scope="session")
def docker_engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """The engine. One that is started for the tests has networks where deploy/compose is to be tested too."""
    networks = os.environ.get("TEST_COMPOSE") == "1"
    with engine(tmp_path_factory.mktemp("engine"), networks) as docker:
        yield docker


@pytest.fixture(scope="session")
def image_base(docker_engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The name of the image to build on."""
    return base_image(docker_engine, tmp_path_factory.mktemp("base"))


@pytest.fixture(scope="session")
def built(docker_engine: Engine, image_base: str) -> Built:
    """The image, built without any cache: what the engine kept may have other times, by which no key of it differs."""
    return _build(docker_engine, image_base, "poplar-test:first")


@pytest.fixture(scope="session")
def rebuilt(docker_engine: Engine, image_base: str) -> Built:
    """The image once more, again without any cache."""
    return _build(docker_engine, image_base, "poplar-test:second")


def build_arguments(base: str) -> Mapping[str, str]:
    """What decides on the content of its layers."""
    return {"BASE_IMAGE": base, "SOURCE_DATE_EPOCH": EPOCH}


def authorities() -> str | None:
    """The file of authorities that this machine trusts for the index, where it has one of its own."""
    return os.environ.get("PIP_CERT") or os.environ.get("SSL_CERT_FILE")


def _build(docker: Engine, base: str, tag: str) -> Built:
    given = [f"--build-arg={name}={value}" for name, value in build_arguments(base).items()]
    secret = [f"--secret=id=ca,src={bundle}"] if (bundle := authorities()) else []
    revision = "--build-arg=REVISION=0123abc"
    docker("build", "--no-cache", "--network=host", *given, revision, *secret, f"--tag={tag}", ".", seconds=420)
    return Built(docker, tag)
