"""What service levels are judged by, beside the logins: how soon a client is greeted, what becomes of retrievals.

Owns these two metrics. A client's own mistakes, such as a number that isn't listed, are not among them. Refuses to say
what is good enough: the rules for Prometheus do.
"""

from service.telemetry import labels
from service.telemetry.later import Counter, Histogram
from service.telemetry.series import ANY, Tells, by

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)

_greetings = by(
    Histogram(
        "poplar_greeting_seconds",
        "From a client's arrival to its greeting, with the TLS handshake where there is one",
        ["listener"],
        buckets=SECONDS,
    ),
    ANY,
)
greeted: Tells[str] = Tells(_greetings)
"""Counts the seconds after which a client was greeted, by its listener."""
_retrievals = by(
    Counter("poplar_retrievals", "RETR and TOP of listed messages: sent, cut, refused and why", ["outcome"]),
    labels.RETRIEVALS,
)
# `increase()` doesn't see the first event of a series that begins with it, and one damaged message is reason to page.
for _outcome in labels.RETRIEVALS:
    _retrievals(_outcome)


def retrieval(outcome: str) -> None:
    """A message was `sent`, `cut` in the middle, or refused for a `Reason`'s value."""
    _retrievals(outcome).inc()
