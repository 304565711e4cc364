"""Dependencies: which other system fails or is slow, and who waits for it.

Owns the panels of Postgres, Redis, the object store and the receivers of events and logs, in the same order everywhere.
"""

from grafana_foundation_sdk.builders.stat import Panel as Number
from grafana_foundation_sdk.builders.timeseries import Panel as Lines

from deploy.grafana import panels as look
from deploy.grafana.panels import BLUE, GREEN, ORANGE, RED, YELLOW, Rows
from deploy.grafana.promql import at_least_none, most, percentiles, quantile, rate, share, total

MEANING = "Postgres, Redis, the object store, receivers of events and logs: failures, times, and who waits."
VENDORS = {
    "postgres": ("Postgres", 0.2, "PoplarPostgresFails"),
    "redis": ("Redis", 0.1, "PoplarRedisFails"),
    "objects": ("Object store", 0.05, "PoplarObjectStoreFails"),
}


def rows() -> Rows:
    """The rows, one for each system."""
    return [
        ("All of them", [*map(_failing, VENDORS), *_leases(), _calls(), _failures(), _times()]),
        ("Postgres", [_postgres_times(), _pool(), _pool_waiting()]),
        ("Redis", [_locks(), _lock_times(), _lost()]),
        ("Object store", [_store_times(), _prefetches(), _resumes()]),
        ("Receivers of events and logs", [panel.span(6) for panel in _receivers()]),
    ]


def _failing(vendor: str) -> Number:
    name, alarm, alert = VENDORS[vendor]
    failed = at_least_none(rate("poplar_store_seconds_count", where=f'vendor="{vendor}", outcome="failed"'))
    asked = share(f"({failed})", rate("poplar_store_seconds_count", where=f'vendor="{vendor}"'))
    panel = look.number(f"{name}: calls that fail", look.PARTS, asked).decimals(1)
    return look.told_by(panel.thresholds(look.marks((alarm / 10, ORANGE), (alarm, RED))), alert)


def _leases() -> list[Number]:
    held = look.number("Leases held", look.COUNT, total("poplar_leases")).thresholds(look.marks(first=BLUE))
    busy = total("poplar_pool_connections", where='use="busy"')
    pool = look.number("Postgres pools in use", look.PARTS, share(busy, total("poplar_limit", where='what="pool"')))
    waiting = look.number("Who waits for Postgres", look.COUNT, total("poplar_pool_waiting"))
    return [
        held,
        pool.thresholds(look.marks((0.7, YELLOW), (0.9, RED))),
        look.told_by(waiting.thresholds(look.marks((1, YELLOW), (5, RED))), "PoplarPoolWaits"),
    ]


def _calls() -> Lines:
    asked = rate("poplar_store_seconds_count", "vendor")
    return look.lines("Calls", look.PER_SECOND, (asked, "{{vendor}}"))


def _failures() -> Lines:
    asked = rate("poplar_store_errors_total", "vendor, kind")
    return look.areas("Failures by kind", look.PER_SECOND, (asked, "{{vendor}} {{kind}}"))


def _times() -> Lines:
    asked = quantile(0.99, "poplar_store_seconds", "vendor")
    return look.lines("Call latency, p99", look.SECONDS, (asked, "{{vendor}}"))


def _postgres_times() -> Lines:
    return look.lines("Postgres latency", look.SECONDS, *percentiles("poplar_store_seconds", 'vendor="postgres"'))


def _pool() -> Lines:
    asked = total("poplar_pool_connections", "role, use")
    return look.areas("Connections to Postgres", look.COUNT, (asked, "{{role}} {{use}}"))


def _pool_waiting() -> Lines:
    asked = most("poplar_pool_waiting", "role")
    panel = look.lines("Who waits for a connection, in the worst process", look.COUNT, (asked, "{{role}}"))
    return look.told_by(look.limited(panel, (5.0, RED)), "PoplarPoolWaits")


def _locks() -> Lines:
    asked = rate("poplar_lock_seconds_count", "outcome")
    panel = look.areas("Leases asked for", look.PER_SECOND, (asked, "{{outcome}}"))
    panel = panel.description("Unavailable: the login goes on, guarded by the fence alone.")
    return look.told_by(look.coloured(panel, acquired=GREEN, in_use=YELLOW, unavailable=RED), "PoplarRedisFails")


def _lock_times() -> Lines:
    return look.lines("Lease latency", look.SECONDS, *percentiles("poplar_lock_seconds", 'outcome="acquired"'))


def _lost() -> Lines:
    lost = rate("poplar_leases_lost_total") + " * 60"
    panel = look.lines("Leases lost in a minute", look.COUNT, (lost, "lost"))
    return look.told_by(look.coloured(panel, lost=RED), "PoplarLeasesLost")


def _store_times() -> Lines:
    return look.lines(
        "Message read latency",
        look.SECONDS,
        (quantile(0.5, "poplar_blob_first_octet_seconds"), "first octets p50"),
        (quantile(0.99, "poplar_blob_first_octet_seconds"), "first octets p99"),
        (quantile(0.99, "poplar_blob_read_seconds"), "whole p99"),
    )


def _prefetches() -> Lines:
    asked = rate("poplar_prefetches_total", "used")
    panel = look.areas("Messages fetched ahead, by whether they were asked for", look.PER_SECOND, (asked, "{{used}}"))
    return look.coloured(panel, yes=GREEN, no=YELLOW)


def _resumes() -> Lines:
    cut = at_least_none(rate("poplar_retrievals_total", where='outcome=~"cut|broken"'))
    panel = look.lines(
        "Faults that retrievals met",
        look.PER_SECOND,
        (rate("poplar_resumes_total"), "reads repeated"),
        (cut, "cut or broken"),
    )
    panel = look.coloured(panel, **{"cut or broken": RED})
    return look.told_by(panel, "PoplarObjectStoreFails", "PoplarMessageDamaged")


def _receivers() -> list[Lines]:
    return [_events(), _events_waiting(), _events_dropped(), _log_lines_lost()]


def _events() -> Lines:
    asked = rate("poplar_events_total", "sink, outcome", 'outcome!="dropped"')
    return look.areas("Events handed over", look.PER_SECOND, (asked, "{{sink}} {{outcome}}"))


def _events_waiting() -> Lines:
    return look.lines("Events that wait", look.COUNT, (total("poplar_events_waiting", "sink"), "{{sink}}"))


def _events_dropped() -> Lines:
    dropped = rate("poplar_events_total", "sink", 'outcome="dropped"')
    panel = look.areas("Events dropped", look.PER_SECOND, (dropped, "{{sink}}"))
    panel = panel.description("Recent is what `poplar maildrop explain` shows; it is lost while Redis is away.")
    return look.told_by(panel, "PoplarEventsDropped")


def _log_lines_lost() -> Lines:
    panel = look.areas("Log lines lost", look.PER_SECOND, (rate("poplar_log_lines_lost_total"), "lines"))
    panel = panel.description("Their disk is full, or nobody reads them any more. No session waits for a line.")
    return look.told_by(panel, "PoplarLogLinesLost")
