"""A Postgres of a test file's own, that it may end, crash and start again; import `own_postgres` to use it."""

import asyncio
import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from service.embedded.postgres import PostgresServer, running_postgres
from service.stores.postgres.migrate import migrate
from tests.cli.conftest import await_true


@dataclass
class OwnPostgres:
    """A Postgres that keeps what it committed, and can be ended and started again on its port."""

    folder: Path
    stack: ExitStack
    server: PostgresServer

    def end(self, how: signal.Signals) -> None:
        """SIGINT ends it in order, SIGQUIT as a crash does: nothing but its log of writes is left."""
        os.kill(self.server.pid, how)
        await_true(lambda: not (self.folder / "data" / "postmaster.pid").exists(), "Postgres to be gone")

    def start(self) -> None:
        again = running_postgres(self.folder, durable=True, port=self.server.port)
        self.server = self.stack.enter_context(again)


@pytest.fixture(scope="module")
def own_postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnPostgres]:
    folder = tmp_path_factory.mktemp("postgres")
    with ExitStack() as stack:
        server = stack.enter_context(running_postgres(folder, durable=True))
        asyncio.run(migrate(server.dsn()))
        yield OwnPostgres(folder, stack, server)
