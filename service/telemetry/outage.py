"""Metrics of logins while Postgres is away.

Owns the outcomes. Refuses to know how a maildrop is remembered.
"""

from prometheus_client import Gauge

from service.telemetry.labels import closed
from service.telemetry.later import Counter

OUTCOMES = frozenset({"opened", "stale", "wrong"})
"""Opened read-only; refused since something newer may have been shown; refused since the password wasn't the one."""

_logins = Counter("poplar_read_only_logins", "Logins to remembered maildrops while Postgres was away", ["outcome"])
_completed = Counter("poplar_maildrops_remembered", "Maildrops of which all is known that reading them takes")
_octets = Gauge("poplar_remembered_octets", "Octets of maildrops that are remembered", multiprocess_mode="livesum")


def read_only_login(outcome: str) -> None:
    """A login as somebody who is remembered came to one of `OUTCOMES`."""
    _logins.labels(closed(outcome, OUTCOMES)).inc()


class Watched:
    """Tells the metrics what is remembered: a `mail.outage.memory.Watcher`."""

    def completed(self) -> None:
        """All of a maildrop is known."""
        _completed.inc()

    def holds(self, octets: int) -> None:
        """So much is remembered now."""
        _octets.set(octets)
