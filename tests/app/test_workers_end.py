"""How long the supervisor lets a worker end."""

import pytest

from service.app.workers import longest_end
from service.settings import Settings


@pytest.mark.parametrize(("traced", "flushes"), [(False, 40.0), (True, 70.0)])
def test_a_worker_has_the_time_that_its_flushes_are_promised(traced: bool, flushes: float) -> None:
    settings = Settings.model_validate({"events": {"flush": 40}, "traces": {"enabled": traced, "flush": 30}})
    assert longest_end(settings) == settings.drain.announce + settings.drain.grace + 13 + flushes
