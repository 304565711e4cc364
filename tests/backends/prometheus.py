"""Debian's Prometheus with the rules that Poplar ships, scraping places on loopback.

Owns its start, its end, whom it scrapes and what it answers. Rules are evaluated every second, whatever their groups
say. The test skips where Prometheus isn't installed.
"""

import json
import math
import re
import shutil
import signal
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
import yaml

from service.embedded.process import free_port
from tests.backends.demo import Place
from tests.cli.conftest import await_true

RULES = Path(__file__).parents[2] / "helm" / "poplar" / "files" / "rules"


@dataclass(frozen=True)
class Series:
    """One series of an answer, without the moments at which it is no number."""

    labels: Mapping[str, str]
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Prometheus:
    """A running Prometheus; `folder` has its configuration."""

    url: str
    folder: Path

    def scrape(self, places: Iterable[Place]) -> None:
        """Scrape these from now on."""
        _write_targets(self.folder, places)

    def alerts(self) -> list[Mapping[str, Any]]:
        """The alerts that are pending or firing at this moment."""
        with urllib.request.urlopen(f"{self.url}/api/v1/alerts", timeout=60) as answer:  # noqa: S310 - http
            return list(json.load(answer)["data"]["alerts"])

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


def _write_targets(folder: Path, places: Iterable[Place]) -> None:
    # It watches the file, and must never see the half of it.
    written = folder / "targets.new"
    written.write_text(json.dumps([{"targets": [str(place) for place in places]}]), "utf-8")
    written.rename(folder / "targets.json")


def _configured(folder: Path, every: str, rewrite: Callable[[str], str]) -> Path:
    rules = folder / "rules"
    rules.mkdir()
    for path in RULES.glob("*.yaml"):
        text = re.sub(r"^ +interval: .*\n", "", path.read_text("utf-8"), flags=re.MULTILINE)
        (rules / path.name).write_text(rewrite(text))
    job = {"job_name": "poplar", "file_sd_configs": [{"files": [f"{folder}/targets.json"], "refresh_interval": "1s"}]}
    timing = {"scrape_interval": every, "scrape_timeout": every, "evaluation_interval": every}
    path = folder / "prometheus.yml"
    path.write_text(yaml.safe_dump({"global": timing, "rule_files": [f"{rules}/*.yaml"], "scrape_configs": [job]}))
    return path


@contextmanager
def prometheus(
    folder: Path, scraped: Iterable[Place], every: str = "1s", rewrite: Callable[[str], str] = str
) -> Iterator[Prometheus]:
    """A Prometheus that scrapes these places as often as it may, with the rules as `rewrite` leaves them."""
    if (program := shutil.which("prometheus")) is None:
        pytest.skip("prometheus is not installed")
    folder.mkdir(parents=True)
    _write_targets(folder, scraped)
    path, url, log = _configured(folder, every, rewrite), f"http://127.0.0.1:{free_port()}", folder / "log"
    command = [program, f"--config.file={path}", f"--storage.tsdb.path={folder / 'data'}"]
    command += [f"--web.listen-address={url.removeprefix('http://')}"]
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, cwd=folder)
    running = Prometheus(url, folder)
    try:
        await_true(lambda: process.poll() is not None or running.is_ready(), "prometheus")
        assert process.poll() is None, log.read_text()
        yield running
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)
