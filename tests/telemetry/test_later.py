"""Metrics that count later show at each look what they were told by then."""

import threading
from collections.abc import Callable

import pytest
from prometheus_client import CollectorRegistry

from service.app.running import running
from service.settings import Settings
from service.telemetry.later import MOST, Counter, Histogram, Level, flush
from tests.net.front import until

Look = Callable[[str], float | None]


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


def histogram(registry: CollectorRegistry) -> Histogram:
    return Histogram("waits", "Waits", ["of"], buckets=(0.1, 1.0), registry=registry)


def test_what_was_observed_stands_in_the_next_look(registry: CollectorRegistry) -> None:
    waits = histogram(registry).labels("a")
    for amount in (0.05, 0.1, 0.5, 7.0):
        waits.observe(amount)
    assert registry.get_sample_value("waits_count", {"of": "a"}) == 4
    assert registry.get_sample_value("waits_sum", {"of": "a"}) == pytest.approx(7.65)
    counts = [registry.get_sample_value("waits_bucket", {"of": "a", "le": le}) for le in ("0.1", "1.0", "+Inf")]
    assert counts == [2, 3, 4], "a bound belongs to its own bucket, as Prometheus has it"


def test_g15_no_more_than_a_few_observations_wait(registry: CollectorRegistry) -> None:
    waits = histogram(registry).labels("a")
    for _ in range(10 * MOST):
        waits.observe(0.5)
        assert len(waits._told) < MOST


async def test_g15_what_sessions_tell_waits_in_greater_number_for_a_second_at_most(registry: CollectorRegistry) -> None:
    waits = histogram(registry).labels("a")
    settings = Settings.model_validate({"listeners": [], "http": {"host": "127.0.0.1", "port": 0}})
    async with running(settings, []):
        for _ in range(2):
            for _ in range(MOST):
                waits.tell(0.5)
            await until(lambda: not waits._told)
    assert waits._sum.get() == MOST


async def test_what_several_processes_share_is_written_when_asked(registry: CollectorRegistry) -> None:
    waits = histogram(registry).labels("a")
    waits.observe(0.5)
    await flush()
    assert waits._sum.get() == 0.5


def test_none_is_lost_or_counted_twice_between_threads(registry: CollectorRegistry) -> None:
    waits = histogram(registry).labels("a")

    def observe() -> None:
        for _ in range(5000):
            waits.observe(0.5)

    threads = [threading.Thread(target=observe) for _ in range(4)]
    for each in threads:
        each.start()
    while any(each.is_alive() for each in threads):
        waits.flush()
    assert registry.get_sample_value("waits_count", {"of": "a"}) == 20_000


def test_counters_and_levels_show_what_they_were_told(registry: CollectorRegistry) -> None:
    polls = Counter("polls", "Polls", ["of"], registry=registry).labels("a")
    sessions = Level("sessions", "Sessions", ["of"], registry=registry).labels("a")
    for _ in range(MOST + 1):
        polls.inc()
        sessions.inc()
        sessions.dec()
    polls.inc(3)
    sessions.inc()
    assert registry.get_sample_value("polls_total", {"of": "a"}) == MOST + 4
    polls.tell(2)
    sessions.tell(-1)
    sessions.tell(3)
    assert registry.get_sample_value("polls_total", {"of": "a"}) == MOST + 6
    assert registry.get_sample_value("sessions", {"of": "a"}) == 3


async def test_a_series_that_another_thread_makes_is_no_hindrance(registry: CollectorRegistry) -> None:
    made = Counter("made", "Made", ["of"], registry=registry)
    kept: list[Counter] = []
    making = threading.Thread(target=lambda: kept.extend(made.labels(str(number)) for number in range(20_000)))
    making.start()
    while making.is_alive():
        await flush()
    assert len(kept) == 20_000
