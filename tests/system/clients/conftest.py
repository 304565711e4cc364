"""A home folder for the mail program of each test."""

from pathlib import Path

import pytest


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A folder that a mail program may take for its user's home."""
    folder = tmp_path / "home"
    folder.mkdir()
    return folder
