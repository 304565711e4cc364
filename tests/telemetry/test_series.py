"""Series of metrics are found by closed sets of values, whatever a client brings. G17."""

from prometheus_client import CollectorRegistry, Counter
from prometheus_client.samples import Sample

from service.telemetry.labels import OTHER
from service.telemetry.series import ANY, by


def test_g17_a_value_outside_its_set_counts_as_other_and_makes_no_series() -> None:
    registry = CollectorRegistry()
    counted = by(Counter("eggs", "Eggs", ["nest", "how"], registry=registry), ANY, frozenset({"boiled"}))
    for how in ("boiled", "poached", "fried"):
        counted("first", how).inc()
    assert counted("first", "poached") is counted("first", "fried")
    found = {(each.labels["how"], each.value) for each in _samples(registry)}
    assert found == {("boiled", 1.0), (OTHER, 2.0)}


def _samples(registry: CollectorRegistry) -> list[Sample]:
    return [sample for metric in registry.collect() for sample in metric.samples if sample.name == "eggs_total"]
