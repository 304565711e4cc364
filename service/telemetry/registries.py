"""Which metrics a scrape gets: this process's own, or those of all workers together.

Owns the folder that workers share (Prometheus' multiprocess mode). Refuses to know who starts workers.
"""

import os
from collections.abc import Callable
from pathlib import Path

from prometheus_client import REGISTRY, CollectorRegistry, multiprocess

VARIABLE = "PROMETHEUS_MULTIPROC_DIR"

# The library leaves both without types.
_collect: Callable[[CollectorRegistry, str], object] = multiprocess.MultiProcessCollector
_forget: Callable[[int, str], None] = multiprocess.mark_process_dead


def own_registry() -> CollectorRegistry:
    """The metrics of this process."""
    return REGISTRY


def workers_registry(folder: Path) -> CollectorRegistry:
    """The metrics of all workers that share `folder`, added up."""
    registry = CollectorRegistry()
    _collect(registry, str(folder))
    return registry


def worker_environment(folder: Path) -> dict[str, str]:
    """The environment in which a worker puts its metrics into `folder`."""
    return {**os.environ, VARIABLE: str(folder)}


def worker_gone(folder: Path, pid: int) -> None:
    """Forget the gauges of a worker that has ended."""
    _forget(pid, str(folder))
