"""Of clusters there is one at a time: a second one is refused before it touches the files of the first."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.cluster import alone as module
from tests.cluster.alone import alone
from tests.cluster.servers import ClusterError


@pytest.fixture(autouse=True)
def _elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(module, "LOCK", tmp_path / "lock")


def test_a_second_cluster_is_told_who_has_the_first() -> None:
    with alone(), pytest.raises(ClusterError, match=f"`kill {os.getpid()}` ends it"), alone():
        pass
    with alone():
        pass


def test_a_cluster_whose_beginner_is_gone_is_still_there() -> None:
    with alone() as lock:
        within = subprocess.Popen(["cat"], stdin=subprocess.PIPE, pass_fds=[lock])
    with pytest.raises(ClusterError), alone():
        pass
    within.communicate()
    with alone():
        pass
