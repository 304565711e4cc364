"""A Docker engine for tests of the image: the one that answers, else Debian's `dockerd`, started here.

Owns the engine's life and its place: a socket and data of its own, and no bridge nor firewall rules unless networks are
asked for, so that nothing else on the machine notices. Skips with a plain line where neither is to be had.
"""

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from service.embedded.process import await_ready, dying_with_parent, spawn, stop
from tests.backends.places import ROOM, memory_available

ROOT = Path(__file__).parents[2]
OFFICIAL_BASE = "python:3.13-slim-bookworm"
# Debian's own client first: another one may ask an old engine for what it doesn't have.
CLIENT = next((path for path in ("/usr/bin/docker", shutil.which("docker")) if path and Path(path).exists()), None)


@dataclass(frozen=True)
class Engine:
    """An engine that answers at `host`, an URL."""

    host: str

    def __call__(self, *arguments: str, seconds: float = 60, check: bool = True) -> str:
        """What the client says; an AssertionError with all of it when it fails."""
        environment = dict(os.environ) | {"DOCKER_HOST": self.host, "DOCKER_BUILDKIT": "1"}
        done = subprocess.run(
            [str(CLIENT), *arguments],
            cwd=ROOT, env=environment, capture_output=True, text=True, timeout=seconds, check=False,
        )  # fmt: skip
        assert done.returncode == 0 or not check, f"docker {' '.join(arguments)}\n{done.stdout}\n{done.stderr}"
        return done.stdout + done.stderr

    def answers(self) -> bool:
        """Whether it is there."""
        return "Server Version" in self("info", check=False)

    def has(self, image: str) -> bool:
        """Whether the engine holds `image`."""
        return '"Id"' in self("image", "inspect", image, check=False)


@contextmanager
def engine(folder: Path, networks: bool = False) -> Iterator[Engine]:
    """An engine; its own files, if it must be started, below `folder`. With `networks` it also has bridges."""
    if CLIENT is None:
        pytest.skip("the image needs Docker's client")
    usual = Engine(os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock"))
    if usual.answers():
        yield usual
        return
    if os.geteuid() != 0 or shutil.which("dockerd") is None:
        pytest.skip("the image needs a Docker engine: none answers, and dockerd can't be started")
    yield from _started(folder, networks)


def _started(folder: Path, networks: bool) -> Iterator[Engine]:
    # A socket's path has at most 107 octets.
    own = Engine(f"unix://{folder}/d.sock")
    places = {"data-root": folder / "data", "exec-root": folder / "exec", "pidfile": folder / "d.pid"}
    options = [f"--{name}={path}" for name, path in places.items()]
    quiet = [] if networks else ["--bridge=none", "--iptables=false", "--ip6tables=false", "--ip-masq=false"]
    command = dying_with_parent(
        ["dockerd", f"--host={own.host}", *options, *quiet, "--shutdown-timeout=5"], signal.SIGTERM
    )
    process = None
    try:
        _in_memory(folder / "data")
        process = spawn(command, folder, folder / "dockerd.log")
        if not await_ready(process, own.answers, 60):
            pytest.skip(f"dockerd does not run here: {(folder / 'dockerd.log').read_text()[-500:]}")
        yield own
    finally:
        if process is not None:
            stop(process, signal.SIGTERM, grace=30)
        _unmounted(folder)
        # Two gigabytes, which pytest would keep for three runs.
        shutil.rmtree(folder / "data", ignore_errors=True)


def _in_memory(data: Path) -> None:
    """Keep the engine's files in memory where there is plenty: on a busy disk, removing 64,000 of them took minutes."""
    data.mkdir()
    if memory_available() >= 2 * ROOM:
        # Where it can't be mounted they are on the disk.
        mount = ["mount", "-t", "tmpfs", "-o", f"size={ROOM}", "poplar-test", str(data)]
        subprocess.run(mount, check=False, capture_output=True)


def _unmounted(folder: Path) -> None:
    """Let go of what is mounted: the engine's files in memory, and its network namespace of --network=host."""
    mounts = [line.split()[1] for line in Path("/proc/mounts").read_text("utf-8").splitlines()]
    for place in reversed([mount for mount in mounts if mount.startswith(f"{folder}/")]):
        subprocess.run(["umount", "--lazy", place], check=False, capture_output=True)


def base_image(engine: Engine, folder: Path) -> str:
    """The name of an image to build on: the official one where a registry answers, else one of Debian's packages."""
    if engine.has(OFFICIAL_BASE) or pulled(engine, OFFICIAL_BASE):
        return OFFICIAL_BASE
    if shutil.which("mmdebstrap") is None:
        pytest.skip("no registry of images answers, and without mmdebstrap no base image can be made")
    subprocess.run([ROOT / "deploy/image/base", folder / "base.tar"], check=True, timeout=300, capture_output=True)
    engine("import", str(folder / "base.tar"), "poplar-base:test")
    (folder / "base.tar").unlink()
    return "poplar-base:test"


def pulled(engine: Engine, image: str) -> bool:
    """Whether a registry gave `image`."""
    try:
        engine("pull", "--quiet", image, seconds=120)
    except (AssertionError, subprocess.TimeoutExpired):
        return False
    return True
