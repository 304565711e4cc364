"""The names of all series that Poplar exports, so that rules, runbooks and dashboards name none that isn't there."""

import importlib
import pkgutil
import re

from prometheus_client import REGISTRY

from service import telemetry
from service.telemetry import metrics

SUFFIXES = {"counter": ("_total",), "histogram": ("_bucket", "_count", "_sum"), "gauge": ("",)}
RECORDED = re.compile(r"poplar:\w+:\w+")
NAMED = re.compile(r"\bpoplar_[a-z_]+\b")


def exported() -> set[str]:
    """Every name that a scrape may hold."""
    for module in pkgutil.iter_modules(telemetry.__path__):
        importlib.import_module(f"service.telemetry.{module.name}")
    # These come to be when they are first set.
    metrics.sweep_ended(0.0)
    metrics.sweep_backlog(0)
    metrics.certificates(1, 0, 0.0)
    families = [family for family in REGISTRY.collect() if family.name.startswith("poplar_")]
    return {family.name + suffix for family in families for suffix in SUFFIXES[family.type]}


def named(text: str) -> set[str]:
    """The names of Poplar's series in a text."""
    return set(NAMED.findall(text))
