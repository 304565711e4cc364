"""Deliveries and sweep: is mail taken, and is what was removed deleted in time?

Owns the panels of LMTP and of the sweep. RFC 2033 §4.2: a delivery is one recipient's.
"""

from grafana_foundation_sdk.builders.stat import Panel as Number
from grafana_foundation_sdk.builders.timeseries import Panel as Lines

from deploy.grafana import panels as look
from deploy.grafana.panels import BLUE, GREEN, ORANGE, RED, YELLOW, Rows
from deploy.grafana.promql import FAULTS, at_least_none, most, of, percentiles, quantile, rate, share, total

MEANING = "Mail on its way in by LMTP, and what the sweep deletes for good."
DELIVERED = "poplar_messages_delivered_total"
LAST = "poplar_sweep_last_success_timestamp_seconds"
BACKLOG = "poplar_sweep_backlog"


def rows() -> Rows:
    """The rows."""
    return [
        ("Now", [_taken(), _failing(), _sessions_now(), _removed_now(), _backlog_now(), _age_now()]),
        ("Deliveries", [_outcomes(), _replies(), _times(), _sizes(), _octets(), _budget()]),
        ("Removal and sweep", [panel.span(6) for panel in (_removed(), _swept(), _backlog(), _age())]),
    ]


def _taken() -> Number:
    panel = look.number("Deliveries stored", look.PER_SECOND, rate(DELIVERED, where='outcome="stored"'))
    return panel.decimals(1).thresholds(look.marks(first=BLUE))


def _failing() -> Number:
    failed = at_least_none(rate(DELIVERED, where=f'outcome=~"{FAULTS}"'))
    judged = rate(DELIVERED, where=f'outcome=~"stored|{FAULTS}"')
    panel = look.number("Deliveries that fail", look.PARTS, share(f"({failed})", judged)).decimals(1)
    panel = panel.description("For the service's own fault: the sender keeps the mail and tries again.")
    return look.told_by(panel.thresholds(look.marks((0.01, ORANGE), (0.05, RED))), "PoplarDeliveriesFail")


def _sessions_now() -> Number:
    panel = look.number("LMTP sessions", look.COUNT, total("poplar_sessions", where='state="open"'))
    return panel.thresholds(look.marks(first=BLUE))


def _removed_now() -> Number:
    panel = look.number("Removed by users", look.PER_SECOND, rate("poplar_messages_removed_total"))
    return panel.decimals(1).thresholds(look.marks(first=BLUE))


def _backlog_now() -> Number:
    panel = look.number("Sweep's backlog", look.COUNT, f"max({of(BACKLOG)})")
    return look.told_by(panel.thresholds(look.marks((10_000, ORANGE), (100_000, RED))), "PoplarSweepFallsBehind")


def _age_now() -> Number:
    panel = look.number("Since the sweep ended well", look.A_YEAR, f"time() - max({of(LAST)})")
    return look.told_by(panel.thresholds(look.marks((5400, ORANGE), (10_800, RED))), "PoplarSweepLate")


def _outcomes() -> Lines:
    panel = look.areas("Deliveries by outcome", look.PER_SECOND, (rate(DELIVERED, "outcome"), "{{outcome}}"))
    panel = look.coloured(panel, stored=GREEN, no_recipient=YELLOW, unavailable=RED)
    return look.told_by(panel, "PoplarDeliveriesFail")


def _replies() -> Lines:
    asked = rate("poplar_lmtp_command_seconds_count", "verb, code", 'code=~"[45]..", verb=~"RCPT|DATA|BDAT|MAIL"')
    panel = look.areas("LMTP's refusals", look.PER_SECOND, (asked, "{{verb}} {{code}}"))
    return panel.description("4xx: the sender tries again; 5xx: the mail goes back.")


def _times() -> Lines:
    asked = quantile(0.99, "poplar_lmtp_command_seconds", "verb", 'verb=~"RCPT|DATA|BDAT"')
    return look.lines("LMTP command latency, p99", look.SECONDS, (asked, "{{verb}}"))


def _sizes() -> Lines:
    return look.lines("Octets of a message", look.OCTETS, *percentiles("poplar_message_octets"))


def _octets() -> Lines:
    asked = rate("poplar_octets_received_total", where='listener=~".*lmtp.*"')
    panel = look.areas("Octets that came in", look.OCTETS_PER_SECOND, (asked, "LMTP"))
    return panel.description("Of listeners that have lmtp in their name.")


def _budget() -> Lines:
    asked = [(_part_of_budget("first"), "texts that begin"), (_part_of_budget("more"), "texts that grow")]
    panel = look.lines("Memory for messages in transit, in the fullest process", look.PARTS, *asked).max(1)
    return look.told_by(look.limited(panel, (0.75, RED)), "PoplarMemoryBudgetNearlyFull")


def _part_of_budget(half: str) -> str:
    used = most("poplar_budget_octets", "instance", f'budget="delivery_{half}"')
    limit = most("poplar_limit", "instance", f'what="delivery_{half}"')
    return f"max({used} / {limit})"


def _removed() -> Lines:
    return look.lines(
        "What leaves maildrops",
        look.PER_SECOND,
        (rate("poplar_messages_removed_total"), "removed by QUIT"),
        (at_least_none(rate("poplar_swept_total", where='what="message"')), "deleted for good"),
    )


def _swept() -> Lines:
    asked = rate("poplar_swept_total", "what") + " * 60"
    panel = look.areas("Deleted for good, in a minute", look.COUNT, (asked, "{{what}}"))
    return panel.description("Orphans are blobs that no message names: what is left of deliveries that broke off.")


def _backlog() -> Lines:
    panel = look.lines("Messages past their retention and still stored", look.COUNT, (f"max({of(BACKLOG)})", "backlog"))
    return look.told_by(look.limited(panel, (100_000.0, RED)), "PoplarSweepFallsBehind")


def _age() -> Lines:
    panel = look.lines("Since the sweep ended well", look.SECONDS, (f"time() - max({of(LAST)})", "age"))
    return look.told_by(look.limited(panel, (10_800.0, RED)), "PoplarSweepLate")
