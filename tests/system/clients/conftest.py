"""A maildrop for each test, with a name and a password that aren't ASCII, and a home folder for its mail program."""

from pathlib import Path

import pytest

from tests.backends.demo import RunningDemo
from tests.system.clients.maildrop import Maildrop, new_maildrop

PASSWORD = "p4ss  wörd ß with späces"


@pytest.fixture
def maildrop(demo: RunningDemo) -> Maildrop:
    """An empty maildrop."""
    return new_maildrop(demo, PASSWORD, "zoë")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A folder that a mail program may take for its user's home."""
    folder = tmp_path / "home"
    folder.mkdir()
    return folder
