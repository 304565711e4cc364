"""A real Valkey for tests, from Docker or from the wheel."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from service.embedded.valkey import running_valkey
from tests.backends.docker import container_or_wheel

IMAGE = "valkey/valkey:9"


def valkey(folder: Path) -> AbstractContextManager[str]:
    """The redis:// URL of a server with its files below `folder`, stopped at the end."""
    return container_or_wheel(_in_container, lambda: _from_wheel(folder))


@contextmanager
def _from_wheel(folder: Path) -> Iterator[str]:
    with running_valkey(folder, durable=False) as server:
        yield server.url


@contextmanager
def _in_container() -> Iterator[str]:
    from testcontainers.valkey import ValkeyContainer

    with ValkeyContainer(IMAGE) as started:
        yield f"redis://{started.get_host()}:{started.get_exposed_port()}/0"
