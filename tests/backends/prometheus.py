"""Debian's Prometheus with the rules that Poplar ships, scraping places on loopback.

Owns its start, its end, and what it answers. Rules are evaluated every second, whatever their groups say. The test
skips where Prometheus isn't installed.
"""

import json
import math
import re
import shutil
import signal
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
import yaml

from tests.backends.demo import Place
from tests.backends.haproxy import free_port
from tests.cli.conftest import await_true

RULES = Path(__file__).parents[2] / "helm" / "poplar" / "files" / "rules"


@dataclass(frozen=True)
class Series:
    """One series of an answer, without the moments at which it is no number."""

    labels: Mapping[str, str]
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Prometheus:
    """A running Prometheus."""

    url: str

    def range(self, expression: str, start: float, end: float, step: float) -> list[Series]:
        """What an expression comes to over a time, in Unix seconds."""
        return self._asked("query_range", query=expression, start=start, end=end, step=step)

    def now(self, expression: str) -> list[Series]:
        """What an expression comes to at this moment."""
        return self._asked("query", query=expression)

    def _asked(self, what: str, **parameters: object) -> list[Series]:
        body = urlencode(parameters).encode()
        try:
            with urllib.request.urlopen(f"{self.url}/api/v1/{what}", body, timeout=60) as answer:  # noqa: S310 - http
                result = json.load(answer)["data"]["result"]
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{parameters['query']}: {error.read().decode()}") from error
        return [made for each in result if (made := _series(each)).points]

    def is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/-/ready", timeout=5):  # noqa: S310 - http
                return True
        except OSError:
            return False


def _series(told: Mapping[str, Any]) -> Series:
    pairs = told.get("values") or [told["value"]]
    points = tuple((float(at), float(value)) for at, value in pairs)
    return Series(told["metric"], tuple(point for point in points if not math.isnan(point[1])))


def _configured(folder: Path, scraped: Iterable[Place], every: str) -> Path:
    rules = folder / "rules"
    rules.mkdir(parents=True)
    for path in RULES.glob("*.yaml"):
        (rules / path.name).write_text(re.sub(r"^ +interval: .*\n", "", path.read_text("utf-8"), flags=re.MULTILINE))
    job = {"job_name": "poplar", "static_configs": [{"targets": [str(place) for place in scraped]}]}
    timing = {"scrape_interval": every, "scrape_timeout": every, "evaluation_interval": every}
    path = folder / "prometheus.yml"
    path.write_text(yaml.safe_dump({"global": timing, "rule_files": [f"{rules}/*.yaml"], "scrape_configs": [job]}))
    return path


@contextmanager
def prometheus(folder: Path, scraped: Iterable[Place], every: str = "1s") -> Iterator[Prometheus]:
    """A Prometheus that scrapes these places as often as it may."""
    if (program := shutil.which("prometheus")) is None:
        pytest.skip("prometheus is not installed")
    path, url, log = _configured(folder, scraped, every), f"http://127.0.0.1:{free_port()}", folder / "log"
    command = [program, f"--config.file={path}", f"--storage.tsdb.path={folder / 'data'}"]
    command += [f"--web.listen-address={url.removeprefix('http://')}"]
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, cwd=folder)
    running = Prometheus(url)
    try:
        await_true(lambda: process.poll() is not None or running.is_ready(), "prometheus")
        assert process.poll() is None, log.read_text()
        yield running
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)
