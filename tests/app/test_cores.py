"""How many threads compute passwords: as many as the pod has time for, not as the node has cores. G15."""

import os
from pathlib import Path

import pytest

from service.app import cores
from service.app.cores import MOST_THREADS, hashing_threads, usable_cores
from service.settings.behaviour import HashingSettings


@pytest.fixture(autouse=True)
def _node_of_64_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(64)))


def control_group(folder: Path, **files: str) -> Path:
    """The kernel's files, with `__` for each folder."""
    for name, content in files.items():
        path = folder / name.replace("__", "/").replace("_max", ".max").replace("cfs", "cpu.cfs")
        path.parent.mkdir(exist_ok=True)
        path.write_text(content)
    return folder


@pytest.mark.parametrize(
    ("files", "found"),
    [
        ({"cpu_max": "200000 100000\n"}, 2),
        ({"cpu_max": "150000 100000\n"}, 2),
        ({"cpu_max": "50000 100000\n"}, 1),
        ({"cpu_max": "max 100000\n"}, 64),
        ({"cpu_max": "9900000 100000\n"}, 64),
        ({"cpu__cfs_quota_us": "300000\n", "cpu__cfs_period_us": "100000\n"}, 3),
        ({"cpu__cfs_quota_us": "-1\n", "cpu__cfs_period_us": "100000\n"}, 64),
        ({"cpu__cfs_quota_us": "300000\n"}, 64),
        ({"cpu_max": "100000 0\n"}, 64),
        ({"cpu_max": "\n"}, 64),
        ({"cpu_max": "many\n"}, 64),
        ({}, 64),
    ],
)
def test_g15_a_limit_of_the_control_group_counts_as_whole_cores(
    tmp_path: Path, files: dict[str, str], found: int
) -> None:
    assert usable_cores(control_group(tmp_path, **files)) == found


def test_g15_a_pod_on_a_large_node_computes_few_passwords_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cores, "CGROUPS", tmp_path)
    assert hashing_threads(HashingSettings()) == MOST_THREADS
    assert hashing_threads(HashingSettings(threads=16)) == 16
    control_group(tmp_path, cpu_max="200000 100000\n")
    assert hashing_threads(HashingSettings()) == 2
