"""A maildrop for each test of the whole."""

import pytest

from tests.backends.demo import RunningDemo
from tests.system.clients.maildrop import Maildrop, new_maildrop

PASSWORD = "p4ss  wörd ß with späces"


@pytest.fixture
def maildrop(demo: RunningDemo) -> Maildrop:
    """An empty maildrop, with a name and a password that aren't ASCII."""
    return new_maildrop(demo, PASSWORD, "zoë")
