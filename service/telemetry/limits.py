"""How much each bounded thing of a process may come to, so that "nearly full" can be seen and alerted on.

Owns one gauge. Refuses to know what is used: sessions, budgets and pools have gauges of their own.
"""

from collections.abc import Mapping

from prometheus_client import Gauge

from service.telemetry import labels
from service.telemetry.labels import closed

_limit = Gauge(
    "poplar_limit",
    "What a bounded thing of this process may come to: connections, octets or waiting logins",
    ["what"],
    multiprocess_mode="livesum",
)


def tell(limits: Mapping[str, float]) -> None:
    """Set the limits, by names out of `labels.LIMITS`."""
    for what, most in limits.items():
        _limit.labels(closed(what, labels.LIMITS)).set(most)
