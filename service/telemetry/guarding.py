"""The metrics of the guard that stands before logins.

Owns them, as `metrics` owns the others: plain functions and look-ups of such, label values from `labels.py` alone
(G17). No address, account or tenant is ever a label: the log names them.
"""

from service.telemetry import labels
from service.telemetry.later import Counter
from service.telemetry.series import Tells, by

_held_back = by(
    Counter(
        "poplar_logins_held_back",
        "Logins that waited, were refused unseen or closed, by whose wrong passwords",
        ["by", "how"],
    ),
    labels.GUARDED,
    labels.HOLDS,
)
_failures = by(Counter("poplar_login_failures", "Failed logins as they were counted", ["how"]), labels.FAILURES)
_blocks = by(Counter("poplar_login_blocks", "How often somebody began to be refused, by whom", ["by"]), labels.GUARDED)
_judged = by(
    Counter("poplar_logins_judged", "Logins judged, by whose counters: shared, or the process's own", ["counters"]),
    labels.JUDGED,
)
judged: Tells[bool] = Tells(lambda shared: _judged("shared" if shared else "own"))
"""Counts logins, by whether they were judged by the shared counters, or without them by this process's own."""


def held_back(whose: str, how: str) -> None:
    """A login was `delayed`, `refused` unseen, or refused and `closed`, on account of one of `labels.GUARDED`."""
    _held_back(whose, how).inc()


def failure_counted(how: str) -> None:
    """A failed login was counted as one of `labels.FAILURES`."""
    _failures(how).inc()


def block_begun(whose: str) -> None:
    """One of `labels.GUARDED` reached the limit from which it is refused."""
    _blocks(whose).inc()
