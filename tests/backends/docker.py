"""Decides once whether the real backends run in Docker containers or from the embedded wheels.

Owns that choice and its reason. The variable TEST_BACKENDS=docker or =embedded forces it;
otherwise a daemon that answers is used as long as it can provide the images.
"""

import os
import shutil
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import cache
from typing import TypeVar

Server = TypeVar("Server")


@cache
def daemon_answers() -> bool:
    """Whether a Docker daemon answers within two seconds."""
    wanted = os.environ.get("TEST_BACKENDS", "auto")
    if wanted != "auto" or shutil.which("docker") is None:
        return wanted == "docker"
    import docker
    from docker.errors import DockerException

    try:
        return bool(docker.from_env(timeout=2).ping())
    except DockerException:
        return False


@contextmanager
def container_or_wheel(
    container: Callable[[], AbstractContextManager[Server]], wheel: Callable[[], AbstractContextManager[Server]]
) -> Iterator[Server]:
    """The server from the container where Docker can, else from the wheel."""
    with ExitStack() as stack:
        yield _entered(stack, container, wheel)


def _entered(
    stack: ExitStack,
    container: Callable[[], AbstractContextManager[Server]],
    wheel: Callable[[], AbstractContextManager[Server]],
) -> Server:
    if not daemon_answers():
        return stack.enter_context(wheel())
    from docker.errors import DockerException

    try:
        return stack.enter_context(container())
    except DockerException as error:
        # A daemon without a way to fetch images is as good as none, unless it was asked for by name.
        if os.environ.get("TEST_BACKENDS") == "docker":
            raise
        warnings.warn(f"Docker answers but gives no container ({error}); using the embedded wheel", stacklevel=2)
        return stack.enter_context(wheel())
