"""Fixtures every test may ask for: real backends, certificates and the choice of event loop.

Backends start once in each test process, when first asked for, and every test gets its own database
or an emptied Valkey. A test that must hold on both event loops says
`@pytest.mark.asyncio(loop_factories=["asyncio", "uvloop"])`; the others run on asyncio's own.
"""

import asyncio
from collections.abc import Callable, Iterator, Mapping

import pytest
import redis
import trustme
import uvloop
from hypothesis import settings

from service.app.garbage import keep_what_is_there
from tests.backends.demo import RunningDemo, demo_on
from tests.backends.fuzzing import factor, try_more
from tests.backends.grouping import in_turn, keep_together
from tests.backends.hanging import watch
from tests.backends.image import built, docker_engine, image_base, rebuilt
from tests.backends.places import short_lived
from tests.backends.postgres import Postgres, execute, fresh_database, postgres
from tests.backends.valkey import valkey

__all__ = ["built", "docker_engine", "image_base", "rebuilt"]

# How long an example takes says nothing on a machine that is shared.
settings.register_profile("poplar", deadline=None, print_blob=True)
settings.load_profile("poplar")

LoopFactory = Callable[[], asyncio.AbstractEventLoop]
LOOPS: Mapping[str, LoopFactory] = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}
TEMPLATE = "migrated"
LONGEST_NAME = 200


def pytest_asyncio_loop_factories(item: pytest.Item) -> Mapping[str, LoopFactory]:
    """The event loops a test runs on: those it names, else asyncio's own."""
    marker = item.get_closest_marker("asyncio")
    named = marker.kwargs.get("loop_factories") if marker else None
    return LOOPS if named else {"asyncio": asyncio.new_event_loop}


def pytest_configure(config: pytest.Config) -> None:
    """Have a test that never ends say where it is."""
    watch(config)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep together what shares something dear, before xdist looks; have `make fuzz` try more of the same."""
    keep_together(items)
    if hasattr(config, "workerinput"):
        items[:] = in_turn(items)
    if factor() > 1:
        try_more(items, factor())


def pytest_collection_finish() -> None:
    """Leave the tests themselves, a million objects, out of every later look of Python's collector."""
    keep_what_is_there()


def pytest_make_parametrize_id(val: object) -> str | None:
    """A long text's name in a test's own: its beginning and its size in octets or characters."""
    if not isinstance(val, str | bytes) or len(val) <= LONGEST_NAME:
        return None
    beginning = ascii(val[:20])
    return f"{beginning}... of {len(val)}"


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """A running Postgres; `dsn(database)` gives its owner's DSN."""
    # Each test's database is some 300 files: made and removed on a disk they took half as long again.
    with short_lived(tmp_path_factory.mktemp("postgres")) as folder, postgres(folder) as server:
        yield server


@pytest.fixture
def postgres_dsn(postgres_server: Postgres) -> Iterator[str]:
    """The owner's DSN of a fresh, empty database."""
    with fresh_database(postgres_server) as dsn:
        yield dsn


@pytest.fixture(scope="session")
def migrated_template(postgres_server: Postgres) -> str:
    """The name of a database with all migrations applied, never connected to again."""
    from service.stores.postgres.migrate import migrate

    execute(postgres_server.dsn(), f"CREATE DATABASE {TEMPLATE}")
    loop = asyncio.new_event_loop()
    loop.run_until_complete(migrate(postgres_server.dsn(TEMPLATE)))
    loop.close()
    return TEMPLATE


@pytest.fixture
def migrated_dsn(postgres_server: Postgres, migrated_template: str) -> Iterator[str]:
    """The owner's DSN of a fresh database with all migrations applied."""
    with fresh_database(postgres_server, migrated_template) as dsn:
        yield dsn


@pytest.fixture(scope="session")
def valkey_url_of_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of this test process' Valkey, whatever it holds."""
    with valkey(tmp_path_factory.mktemp("valkey")) as url:
        yield url


@pytest.fixture
def redis_url(valkey_url_of_process: str) -> str:
    """The URL of an empty Valkey."""
    with redis.Redis.from_url(valkey_url_of_process) as client:
        client.flushall()
        client.script_flush()
    return valkey_url_of_process


@pytest.fixture(scope="session")
def ca() -> trustme.CA:
    """A certificate authority of the tests' own."""
    return trustme.CA()


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningDemo]:
    """A running `poplar demo`; whoever changes a maildrop takes a `new_account()` of it."""
    with demo_on(tmp_path_factory.mktemp("demo")) as running:
        yield running
