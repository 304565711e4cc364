"""Every metric Poplar exports; callers see plain functions and look-ups of such, never a Prometheus object.

Connections: `connection_rejected`, `tls_established`. Commands: `command`, `answered`, `lmtp_command`, `logins`. Mail:
`message_retrieved|topped`, `messages_removed`, `delivered`. More below; `sessions.py` counts sessions and octets.
Label values come from `labels.py` alone (G17). Durations are seconds. Safe from any thread, and in Prometheus'
multiprocess mode, where each gauge says how the values of several processes add up. `poplar_command_seconds_count` is
the number of commands, and likewise for the other histograms. What other systems are asked for is in `systems.py`.
RFC 2033 §4.2 asks for one reply a recipient, which `delivered` counts.
"""

import platform
from functools import cache
from typing import Literal

from prometheus_client import Gauge, disable_created_metrics

from service.telemetry import labels
from service.telemetry.build import VERSION
from service.telemetry.later import Counter, Histogram
from service.telemetry.series import ANY, Tells, by

# A `_created` beside each series would double their number and says nothing that a restart doesn't.
disable_created_metrics()  # type: ignore[no-untyped-call]

QUICK = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
"""Logins, locks and single round trips."""
COMMAND = (0.0001, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0, 300.0)
"""Commands: most take a moment, a long message to a slow client takes minutes."""
LONG = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
"""Whole reads and transfers."""
OCTETS = tuple(float(1 << power) for power in range(10, 31, 2))

_commands = by(
    Histogram(
        "poplar_command_seconds",
        "POP3 commands, from read to response, by verb and result",
        ["verb", "result"],
        buckets=COMMAND,
    ),
    labels.VERBS, labels.RESULTS,
)  # fmt: skip
answered: Tells[tuple[str, bool]] = Tells(lambda done: _commands(done[0], "ok" if done[1] else "err"))
"""Counts the seconds of a POP3 command, by its verb and whether with `+OK`; as `command` does, which takes a call."""
_lmtp_commands = by(
    Histogram("poplar_lmtp_command_seconds", "LMTP commands by verb and reply code", ["verb", "code"], buckets=COMMAND),
    labels.LMTP_VERBS, labels.LMTP_CODES,
)  # fmt: skip
_logins = by(
    Histogram(
        "poplar_login_seconds",
        "Logins by mechanism and result or reason of refusal",
        ["mechanism", "result"],
        buckets=QUICK,
    ),
    labels.MECHANISMS, labels.LOGIN_RESULTS,
)  # fmt: skip
logins: Tells[tuple[str, str]] = Tells(lambda login: _logins(*login))
"""Counts the seconds of a login, by one of `labels.MECHANISMS` and of `labels.LOGIN_RESULTS`: `ok` or a `Reason`'s."""
_verdicts = by(
    Counter("poplar_remembered_logins", "Right passwords looked for among those remembered", ["outcome"]),
    labels.VERDICTS,
)
_renewals = by(
    Counter("poplar_verifiers_renewed", "Verifiers of another scheme or cost, by what came of it", ["outcome"]),
    labels.RENEWALS,
)
_enrolments = by(
    Counter("poplar_scram_enrolments", "Keys for SCRAM made of right passwords", ["outcome"]), labels.ENROLMENTS
)
_retrieved = Counter("poplar_messages_retrieved", "Messages sent whole by RETR")
_topped = Counter("poplar_messages_topped", "Messages sent in part by TOP")
_removed = Counter("poplar_messages_removed", "Messages removed by QUIT")
_delivered = by(
    Counter(
        "poplar_messages_delivered",
        "Recipients of deliveries, those refused at RCPT too, by outcome",
        ["outcome"],
    ),
    labels.DELIVERIES,
)
_message_octets = Histogram("poplar_message_octets", "Octets of messages delivered", buckets=OCTETS)
_prefetches = by(
    Counter("poplar_prefetches", "Messages fetched before they were asked for, by use", ["used"]), labels.USED
)
_resumes = Counter("poplar_resumes", "Reads of messages that were repeated, as the store failed")
_locks = by(
    Histogram("poplar_lock_seconds", "Acquisitions of a maildrop's lease, by outcome", ["outcome"], buckets=QUICK),
    labels.LOCK_OUTCOMES,
)
locks: Tells[str] = Tells(_locks)
"""Counts the seconds of an acquisition, by how it ended: `acquired`, `in_use` or `unavailable`."""
_leases = Gauge("poplar_leases", "Leases held now", multiprocess_mode="livesum")
_leases_lost = Counter("poplar_leases_lost", "Leases found to be held by another session")
_budget = by(
    Gauge("poplar_budget_octets", "Octets in use of a bounded budget", ["budget"], multiprocess_mode="livesum"),
    labels.BUDGETS,
)
_loop_lag = Histogram("poplar_loop_lag_seconds", "How late the event loop woke up", buckets=QUICK)
_swept = by(Counter("poplar_swept", "What the sweep deleted for good, by what it was", ["what"]), labels.SWEPT)
_certificate_failures = Counter("poplar_certificate_failures", "Certificate files that could not be loaded")
_handshakes = by(
    Counter("poplar_tls_handshakes", "TLS handshakes by listener and version", ["listener", "version"]),
    ANY, labels.TLS_VERSIONS,
)  # fmt: skip
_rejected = by(
    Counter(
        "poplar_connections_rejected",
        "Connections turned away before a login, by listener and why",
        ["listener", "why"],
    ),
    ANY, labels.REJECTIONS,
)  # fmt: skip
_draining = Gauge("poplar_draining", "1 from when this process drains until it is gone", multiprocess_mode="livemax")
_build = Gauge(
    "poplar_build_info", "Always 1; says what is running", ["version", "python"], multiprocess_mode="livemax"
)
_build.labels(VERSION, platform.python_version()).set(1)
# A store that is read without fetching ahead says so by 0, rather than by no series.
for _used in ("yes", "no"):
    _prefetches(_used)


@cache
def _late(name: str, meaning: str, mode: Literal["livemostrecent", "max", "livemax", "livemin"]) -> Gauge:
    """A gauge that comes to be when it is first set.

    The 0 of a process that never sweeps, or has no certificate, is no fact: an alert on the time since would fire.
    """
    return Gauge(name, meaning, multiprocess_mode=mode)


def command(verb: str, result: str, seconds: float) -> None:
    """A POP3 command was answered: `ok`, `err`, or `cut` when its response broke off."""
    _commands(verb, result).tell(seconds)


def lmtp_command(verb: str, code: int, seconds: float) -> None:
    """An LMTP command was answered with reply `code`."""
    _lmtp_commands(verb, str(code)).tell(seconds)


def verdict_asked(known: bool) -> None:
    """A password was looked for among those remembered, before any is computed."""
    _verdicts("hit" if known else "miss").tell(1)


def verifier_renewed(outcome: str) -> None:
    """The renewal of a verifier came to one of `labels.RENEWALS`."""
    _renewals(outcome).inc()


def scram_enrolled(outcome: str) -> None:
    """The making of keys for SCRAM came to one of `labels.ENROLMENTS`."""
    _enrolments(outcome).inc()


def message_retrieved() -> None:
    """RETR sent a message whole."""
    _retrieved.inc()


def message_topped() -> None:
    """TOP sent the part of a message that was asked for."""
    _topped.inc()


def messages_removed(count: int) -> None:
    """QUIT removed this many messages."""
    _removed.inc(count)


def delivered(outcome: str, octets: int) -> None:
    """One recipient's delivery ended, at its RCPT or later: `stored`, or a `Reason`'s value."""
    _delivered(outcome).inc()
    if outcome == "stored":
        _message_octets.observe(octets)


def prefetched(used: bool) -> None:
    """A message fetched ahead was asked for after all, or wasn't."""
    _prefetches("yes" if used else "no").inc()


def retrieval_resumed() -> None:
    """A read was repeated, from where it stopped, as its store failed or gave other octets."""
    _resumes.inc()


def leases_held(count: int) -> None:
    """This process holds `count` leases now."""
    _leases.set(count)


def leases_lost(count: int) -> None:
    """A renewal found `count` leases in other hands."""
    _leases_lost.inc(count)


def budget_used(budget: str, octets: int) -> None:
    """`octets` of one of `labels.BUDGETS` are in use now."""
    _budget(budget).set(octets)


def loop_lag(seconds: float) -> None:
    """The event loop woke up `seconds` late."""
    _loop_lag.observe(seconds)


def swept(messages: int, blobs: int, orphans: int) -> None:
    """A sweep deleted these for good."""
    _swept("message").inc(messages)
    _swept("blob").inc(blobs)
    _swept("orphan").inc(orphans)


def sweep_backlog(messages: int) -> None:
    """So many removed messages are past their retention and still stored, whether or not a sweep ever ends."""
    _late("poplar_sweep_backlog", "Removed messages past their retention", "livemostrecent").set(messages)


def sweep_ended(at: float) -> None:
    """A sweep ended well at `at` (Unix seconds)."""
    last = "When the sweep last ended well, Unix seconds"
    _late("poplar_sweep_last_success_timestamp_seconds", last, "max").set(at)


def certificates(count: int, broken: int, first_expiry: float) -> None:
    """So many are loaded, so many can't be as they are now; the first expires at `first_expiry`, Unix seconds."""
    expiry = "When the first certificate expires, Unix seconds"
    _late("poplar_certificates", "Certificates loaded", "livemax").set(count)
    _late("poplar_certificates_broken", "Certificates that can't be loaded as they are now", "livemax").set(broken)
    _late("poplar_certificate_expiry_timestamp_seconds", expiry, "livemin").set(first_expiry)


def certificate_failed() -> None:
    """A certificate file could not be loaded; the earlier one stays in use."""
    _certificate_failures.inc()


def tls_established(listener: str, version: str) -> None:
    """A handshake ended with this version, such as `TLSv1.3`."""
    _handshakes(listener, version).inc()


def connection_rejected(listener: str, why: str) -> None:
    """A connection was turned away before a login, for one of `labels.REJECTIONS`."""
    _rejected(listener, why).inc()


def draining() -> None:
    """This process drains from now on; one that hangs after its grace still does."""
    _draining.set(1)
