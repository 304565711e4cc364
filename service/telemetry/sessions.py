"""What each session counts of itself for its listener: that it is there, how long it took, and its octets.

Owns these metrics, and that their series are found once for a listener and not once for a session. Label values come
from `labels.py` and the names of listeners in the settings (G17). Refuses to know a protocol.
RFC 1939 §3 names the states.
"""

from functools import lru_cache

from service.telemetry import labels
from service.telemetry.later import Counter, Histogram, Level
from service.telemetry.series import ANY, MOST, Tells, by

SESSION = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 600.0, 1800.0, 3600.0)
_sessions = by(
    Level("poplar_sessions", "Sessions now, by state and listener", ["listener", "state"], multiprocess_mode="livesum"),
    ANY, labels.STATES,
)  # fmt: skip
_session_seconds = by(
    Histogram(
        "poplar_session_seconds",
        "How long sessions took, by listener and how they ended",
        ["listener", "end"],
        buckets=SESSION,
    ),
    ANY, labels.ENDS,
)  # fmt: skip
_sent = by(Counter("poplar_octets_sent", "Octets written to clients", ["listener"]), ANY)
_received = by(Counter("poplar_octets_received", "Octets read from clients", ["listener"]), ANY)


class Sessions:
    """What the sessions of one listener are counted by; each is a call with a number."""

    __slots__ = ("received", "seconds", "sent", "states")

    def __init__(self, listener: str) -> None:
        self.states: Tells[str] = Tells(lambda state: _sessions(listener, state))
        """By one of `labels.STATES`: 1 for a session that comes to it, -1 for one that leaves it."""
        self.seconds: Tells[str] = Tells(lambda end: _session_seconds(listener, end))
        """By one of `labels.ENDS`: how long a session took that ended so."""
        self.received = _received(listener).tell
        """Octets that were read from a client."""
        self.sent = _sent(listener).tell
        """Octets that were written to one."""


@lru_cache(MOST)
def sessions_of(listener: str) -> Sessions:
    """Those of the listener of this name."""
    return Sessions(listener)
