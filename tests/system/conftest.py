"""A maildrop for each test of the whole."""

from collections.abc import Iterator

import pytest

from tests.backends.demo import RunningDemo, demo_on
from tests.system.clients.maildrop import Maildrop, new_maildrop

PASSWORD = "p4ss  wörd ß with späces"


@pytest.fixture
def maildrop(demo: RunningDemo) -> Maildrop:
    """An empty maildrop, with a name and a password that aren't ASCII."""
    return new_maildrop(demo, PASSWORD, "zoë")


@pytest.fixture(scope="session")
def trusting_demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningDemo]:
    """A demo for tests whose tenants trust issuers: CAPA says so to everybody, and other tests read CAPA."""
    with demo_on(tmp_path_factory.mktemp("trusting-demo")) as running:
        yield running
