"""Capacity and drain: how full are processes, and do they end as they should?

Owns the panels of what is bounded in a process. Where there may be many processes, a panel shows the fullest and all
together, never a line for each. Refuses what the cluster's own dashboards show of nodes and pods.
"""

from grafana_foundation_sdk.builders.bargauge import Panel as Bars
from grafana_foundation_sdk.builders.stat import Panel as Number
from grafana_foundation_sdk.builders.timeseries import Panel as Lines

from deploy.grafana import panels as look
from deploy.grafana.panels import BLUE, GREEN, ORANGE, RED, YELLOW, Rows
from deploy.grafana.promql import at_least_none, most, of, quantile, rate, share, total

MEANING = "How full processes are, what they turn away, and how they drain."
FULL = look.marks((0.6, YELLOW), (0.75, RED))
BUDGETS = "retrieval|listings|delivery_first|delivery_more|prefetch"
CONNECTIONS, HASHING = 'what="connections"', 'what="hashing"'


def rows() -> Rows:
    """The rows."""
    now = [_processes(), _draining(), _fullest(), _late(), _rejected_now(), _expiry()]
    return [
        ("Now", now),
        ("Connections", [_sessions(), _by_process(), _rejected()]),
        ("Memory and processor", [_budgets(), _memory(), _processor(), _lag(), _queue(), _descriptors()]),
        ("Drain", [panel.span(6) for panel in (_in_drain(), _left(), _drained(), _lengths())]),
        ("TLS", [panel.span(12) for panel in (_handshakes(), _certificates())]),
    ]


def _ours(series: str) -> str:
    """A series that any Python process may have, of Poplar's alone."""
    return f"{of(series)} and on (instance) poplar_build_info"


def _filled() -> str:
    return f"{total('poplar_sessions', 'instance')} / {total('poplar_limit', 'instance', CONNECTIONS)}"


def _processes() -> Number:
    panel = look.number("Processes", look.COUNT, f"count({of('poplar_build_info')})").thresholds(look.marks(first=BLUE))
    return look.told_by(panel, "PoplarAbsent")


def _draining() -> Number:
    panel = look.number("Draining", look.COUNT, total("poplar_draining")).thresholds(look.marks((1, YELLOW)))
    return look.told_by(panel, "PoplarDrainStuck")


def _fullest() -> Number:
    panel = look.number("Fullest process", look.PARTS, f"max({_filled()})").decimals(1).thresholds(FULL)
    return look.told_by(panel, "PoplarConnectionsNearlyFull")


def _late() -> Number:
    asked = f"max({quantile(0.99, 'poplar_loop_lag_seconds', 'instance')})"
    panel = look.number("Latest event loop, p99", look.SECONDS, asked)
    return look.told_by(panel.thresholds(look.marks((0.1, YELLOW), (0.25, RED))), "PoplarEventLoopLate")


def _rejected_now() -> Number:
    asked = at_least_none(rate("poplar_connections_rejected_total", where='why=~"full|shed|exhausted"'))
    panel = look.number("Turned away as full", look.PER_SECOND, asked).thresholds(look.marks((0.001, RED)))
    return look.told_by(panel, "PoplarConnectionsRejected")


def _expiry() -> Number:
    asked = f"min({of('poplar_certificate_expiry_timestamp_seconds')}) - time()"
    steps = look.marks((7 * 86_400, ORANGE), (14 * 86_400, GREEN), first=RED)
    panel = look.number("First certificate expires in", look.A_YEAR, asked).thresholds(steps)
    return look.told_by(panel, "PoplarCertificateExpires")


def _sessions() -> Lines:
    asked = total("poplar_sessions", "listener")
    return look.areas("Sessions by listener", look.COUNT, (asked, "{{listener}}"))


def _by_process() -> Bars:
    fullest = f"topk(10, {_filled()})"
    panel = look.bars("Part of its connections, the ten fullest", look.PARTS, (fullest, "{{instance}}"))
    return look.told_by(panel.max(1).thresholds(FULL), "PoplarConnectionsNearlyFull")


def _rejected() -> Lines:
    asked = rate("poplar_connections_rejected_total", "why")
    panel = look.areas("Connections turned away before a login", look.PER_SECOND, (asked, "{{why}}"))
    return look.told_by(panel, "PoplarConnectionsRejected", "PoplarBalancerNotTrusted")


def _budgets() -> Lines:
    limits = of("poplar_limit", f'what=~"{BUDGETS}"')
    limit = f'max by (instance, budget) (label_replace({limits}, "budget", "$1", "what", "(.*)"))'
    asked = f"max by (budget) ({most('poplar_budget_octets', 'instance, budget')} / {limit})"
    panel = look.lines("Budgets of memory in use, in the fullest process", look.PARTS, (asked, "{{budget}}")).max(1)
    return look.told_by(look.limited(panel, (0.75, RED)), "PoplarMemoryBudgetNearlyFull")


def _memory() -> Lines:
    resident = _ours("process_resident_memory_bytes")
    panel = look.lines(
        "Memory of a process", look.OCTETS, (f"max({resident})", "most"), (f"quantile(0.5, {resident})", "median")
    )
    return panel.description("Not told by processes with `workers`: the cluster's own dashboards show their pods.")


def _processor() -> Lines:
    used = f"rate({of('process_cpu_seconds_total')}[$__rate_interval]) and on (instance) poplar_build_info"
    asked = (f"max({used})", "most"), (f"quantile(0.5, {used})", "median")
    panel = look.lines("Cores used by a process", look.TIMES, *asked).decimals(2)
    panel = panel.description("One event loop fills one core; verifying passwords takes more of them.")
    return look.limited(panel, (0.9, YELLOW))


def _lag() -> Lines:
    worst = f"max({quantile(0.99, 'poplar_loop_lag_seconds', 'instance')})"
    panel = look.lines(
        "Event loop lag, p99",
        look.SECONDS,
        (worst, "worst process"),
        (quantile(0.99, "poplar_loop_lag_seconds"), "all"),
    )
    return look.told_by(look.limited(panel, (0.25, RED)), "PoplarEventLoopLate")


def _queue() -> Lines:
    waiting = total("poplar_turns_waiting", "instance", 'resource="hashing"')
    asked = f"max({waiting} / {total('poplar_limit', 'instance', HASHING)})"
    panel = look.lines("Queue of passwords to verify, in the fullest process", look.PARTS, (asked, "in use")).max(1)
    return look.told_by(look.limited(panel, (0.8, RED)), "PoplarPasswordQueueFull")


def _descriptors() -> Lines:
    most = f"max({of('process_open_fds')} / {of('process_max_fds')} and on (instance) poplar_build_info)"
    panel = look.lines("Open descriptors of those allowed, in the fullest process", look.PARTS, (most, "in use"))
    return look.limited(panel.max(1), (0.8, RED))


def _in_drain() -> Lines:
    panel = look.areas("Processes that drain", look.COUNT, (total("poplar_draining"), "draining")).decimals(0)
    return look.told_by(look.coloured(panel, draining=YELLOW), "PoplarDrainStuck")


def _left() -> Lines:
    left = at_least_none(f"sum({of('poplar_sessions')} and on (instance) (poplar_draining > 0))")
    panel = look.areas("Sessions left on processes that drain", look.COUNT, (left, "sessions"))
    return look.told_by(panel, "PoplarDrainStuck")


def _drained() -> Lines:
    ends = "poplar_session_seconds_count"
    panel = look.areas(
        "Sessions that a drain or a full process cut",
        look.PER_SECOND,
        (at_least_none(rate(ends, where='end="drained"')), "drained"),
        (at_least_none(rate(ends, where='end="shed"')), "shed"),
    )
    return look.coloured(panel, drained=YELLOW, shed=RED)


def _handshakes() -> Lines:
    asked = rate("poplar_tls_handshakes_total", "version")
    failed = at_least_none(rate("poplar_connections_rejected_total", where='why="handshake"'))
    panel = look.areas("TLS handshakes", look.PER_SECOND, (asked, "{{version}}"), (failed, "failed"))
    return look.coloured(panel, failed=RED)


def _lengths() -> Lines:
    count = rate("poplar_session_seconds_count")
    panel = look.lines(
        "How long sessions last",
        look.SECONDS,
        (quantile(0.5, "poplar_session_seconds"), "p50"),
        (quantile(0.95, "poplar_session_seconds"), "p95"),
        (share(rate("poplar_session_seconds_sum"), count), "mean"),
    )
    return panel.description("What a drain waits for: its grace should be above the 95th percentile.")


def _certificates() -> Lines:
    failed = rate("poplar_certificate_failures_total") + " * 60"
    panel = look.lines("Certificates that could not be loaded, in a minute", look.COUNT, (failed, "failed"))
    return look.told_by(look.coloured(panel, failed=RED), "PoplarCertificateNotLoaded")
