"""What service levels are judged by, beside the logins: how soon a client is greeted, what becomes of retrievals.

Owns these two metrics. A client's own mistakes, such as a number that isn't listed, are not among them. Refuses to say
what is good enough: the rules for Prometheus do.
"""

from prometheus_client import Counter

from service.telemetry import labels
from service.telemetry.histograms import Histogram
from service.telemetry.labels import closed
from service.telemetry.series import series

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)

_greetings = Histogram(
    "poplar_greeting_seconds",
    "From a client's arrival to its greeting, with the TLS handshake where there is one",
    ["listener"],
    buckets=SECONDS,
)
_retrievals = Counter("poplar_retrievals", "RETR and TOP of listed messages: sent, cut, refused and why", ["outcome"])
# `increase()` doesn't see the first event of a series that begins with it, and one damaged message is reason to page.
for _outcome in labels.RETRIEVALS:
    series(_retrievals, _outcome)


def greeted(listener: str, seconds: float) -> None:
    """A client of this listener was greeted."""
    series(_greetings, listener).observe(seconds)


def retrieval(outcome: str) -> None:
    """A message was `sent`, `cut` in the middle, or refused for a `Reason`'s value."""
    series(_retrievals, closed(outcome, labels.RETRIEVALS)).inc()
