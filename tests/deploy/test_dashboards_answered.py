"""Every expression of the dashboards and runbooks, asked of a real Prometheus that scrapes a real Poplar under load."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.backends.prometheus import Prometheus
from tests.cli.conftest import await_true
from tests.deploy.dashboards import Asked, all_asked
from tests.deploy.load import under_load
from tests.deploy.site import Site, site
from tests.deploy.test_runbooks import RUNBOOK, blocks


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A site under load for as long as the tests of this file take."""
    with site(tmp_path_factory.mktemp("site")) as running, under_load(running):
        yield running


@dataclass
class Unanswered:
    """The queries that have had no answer yet."""

    prometheus: Prometheus
    queries: list[Asked]
    since: float

    def __call__(self) -> bool:
        """Ask them again; whether any is left."""
        self.queries = [asked for asked in self.queries if not self._answered(asked)]
        return bool(self.queries)

    def _answered(self, asked: Asked) -> bool:
        text = asked.filled_in()
        if asked.instant:
            return bool(self.prometheus.now(text))
        return bool(self.prometheus.range(text, self.since, time.time(), 1.0))


def test_no_panel_is_empty(watched: Site) -> None:
    left = Unanswered(watched.prometheus, all_asked(), time.time())
    try:
        await_true(lambda: not left(), "answers")
    except AssertionError:
        pytest.fail(
            "no answer: " + "\n".join(f"{each.dashboard}: {each.panel}: {each.filled_in()}" for each in left.queries)
        )


@pytest.mark.parametrize("path", RUNBOOK, ids=lambda path: path.stem)
def test_a_runbook_s_queries_are_sound(watched: Site, path: Path) -> None:
    for text in blocks(path, "promql"):
        watched.prometheus.now(text)


@pytest.mark.parametrize(
    ("alert", "state"),
    [("PoplarMessageDamaged", "firing"), ("PoplarRedisFails", "pending"), ("PoplarDrainStuck", "pending")],
)
def test_the_faults_of_this_site_are_noticed(watched: Site, alert: str, state: str) -> None:
    query = f'ALERTS{{alertname="{alert}", alertstate="{state}"}}'
    await_true(lambda: watched.prometheus.now(query), query)
