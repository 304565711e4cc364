"""For each alert, series that make it fire and series that don't, in promtool's notation, a sample a minute.

Owns the cases. `test_alerts.py` gives them to promtool, and fails where an alert has none.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

Series = Mapping[str, str]


@dataclass(frozen=True)
class Case:
    """`at`: when to look. A label that differs is not compared."""

    fires: Series
    silent: Series
    at: str = "30m"
    also: Sequence[Series] = ()
    """Other faults, for each of which it fires too."""


def login(result: str) -> str:
    return f'poplar_login_seconds_count{{instance="a", mechanism="PLAIN", result="{result}"}}'


def budget(name: str, used: int, limit: int) -> dict[str, str]:
    octets, most = one("poplar_budget_octets", budget=name), one("poplar_limit", what=name)
    return {octets: f"{used}x400", most: f"{limit}x400"}


def retrieval(outcome: str) -> str:
    return f'poplar_retrievals_total{{instance="a", outcome="{outcome}"}}'


def calls(vendor: str, outcome: str) -> str:
    return f'poplar_store_seconds_count{{instance="a", vendor="{vendor}", outcome="{outcome}"}}'


def one(name: str, **labels: str) -> str:
    inside = ", ".join(f'{label}="{value}"' for label, value in {"instance": "a", **labels}.items())
    return f"{name}{{{inside}}}"


def greeted(bucket: str) -> str:
    return one("poplar_greeting_seconds_bucket", listener="pop3s", le=bucket)


def late(bucket: str) -> str:
    return one("poplar_loop_lag_seconds_bucket", le=bucket)


SOME, NONE, MANY = "0+6x400", "0x400", "0+600x400"
LIMIT = one("poplar_limit", what="connections")
PARTS = {
    one("poplar_limit", what="retrieval"),
    one("poplar_limit", what="delivery"),
    one("poplar_api_responses_total", code="200"),
}

CASES: Mapping[str, Case] = {
    "PoplarLoginBudgetBurns": Case(
        {login("ok"): MANY, login("unavailable"): "0+60x400"},
        # Wrong passwords and maildrops in use are nobody's outage.
        {login("ok"): MANY, login("credentials"): MANY, login("in_use"): MANY, login("login_delay"): MANY},
        "2h",
    ),
    "PoplarRetrievalBudgetBurns": Case(
        {retrieval("sent"): MANY, retrieval("cut"): "0+60x400"},
        {retrieval("sent"): MANY, retrieval("day_used_up"): MANY},
        "2h",
    ),
    "PoplarGreetingBudgetBurns": Case(
        {greeted("1.0"): "0+300x400", one("poplar_greeting_seconds_count", listener="pop3s"): MANY},
        {greeted("1.0"): MANY, one("poplar_greeting_seconds_count", listener="pop3s"): MANY},
        "2h",
    ),
    "PoplarAbsent": Case(
        {},
        {one("poplar_build_info", version="1"): "1x400", **dict.fromkeys(PARTS, "9x400")},
        # The other parts, the sweep among them, go on.
        also=[
            {one("poplar_build_info", version="1"): "1x400", **dict.fromkeys(PARTS - {part}, "9x400")} for part in PARTS
        ],
    ),
    "PoplarPostgresFails": Case(
        {calls("postgres", "ok"): MANY, calls("postgres", "failed"): MANY},
        # Refusals are answers as they should be; a few failures are a failover.
        {calls("postgres", "ok"): MANY, calls("postgres", "refused"): MANY, calls("postgres", "failed"): SOME},
    ),
    "PoplarRedisFails": Case(
        {one("poplar_lock_seconds_count", outcome="unavailable"): MANY},
        {one("poplar_lock_seconds_count", outcome=o): MANY for o in ("acquired", "in_use")},
    ),
    "PoplarObjectStoreFails": Case(
        {calls("objects", "ok"): MANY, calls("objects", "failed"): MANY},
        {calls("objects", "ok"): MANY, calls("objects", "failed"): SOME},
    ),
    "PoplarMessageDamaged": Case(
        {retrieval("broken"): "0x20 1x400"}, {retrieval("broken"): "7x400", retrieval("unavailable"): MANY}
    ),
    "PoplarPoolWaits": Case(
        {one("poplar_pool_waiting", role="front"): "9x400"}, {one("poplar_pool_waiting", role="front"): "2x400"}
    ),
    "PoplarConnectionsNearlyFull": Case(
        # One tenant alone is stopped at four fifths.
        {one("poplar_sessions", state="transaction"): "80x400", LIMIT: "100x400"},
        {one("poplar_sessions", state="transaction"): "70x400", LIMIT: "100x400"},
    ),
    "PoplarConnectionsRejected": Case(
        {one("poplar_connections_rejected_total", why="full"): SOME},
        # One address with more connections than it may have is nobody's outage.
        {one("poplar_connections_rejected_total", why=why): MANY for why in ("handshake", "per_address")},
        # In a flood of strangers nobody may be refused as full, as one after the other makes room.
        also=[{one("poplar_connections_rejected_total", why=why): SOME} for why in ("shed", "exhausted")],
    ),
    "PoplarBalancerNotTrusted": Case(
        {one("poplar_connections_rejected_total", why="untrusted", listener="pop3"): MANY},
        {one("poplar_connections_rejected_total", why="untrusted", listener="pop3"): "0x400"},
    ),
    "PoplarMemoryBudgetNearlyFull": Case(
        # A flood of texts that only begin fills one half: of all memory for deliveries that is no more than half.
        budget("delivery", 40, 100) | budget("delivery_first", 40, 50) | budget("delivery_more", 0, 50),
        budget("retrieval", 50, 100) | budget("delivery", 60, 100) | budget("delivery_more", 30, 50),
    ),
    "PoplarEventLoopLate": Case(
        {late("0.25"): "0+60x400", late("1.0"): MANY, late("+Inf"): MANY},
        {late("0.25"): MANY, late("1.0"): MANY, late("+Inf"): MANY},
    ),
    "PoplarPasswordQueueFull": Case({login("overloaded"): MANY}, {login("overloaded"): "0+1x400"}),
    "PoplarPasswordsGuessed": Case(
        {one("poplar_login_blocks_total", by="account"): SOME}, {one("poplar_login_blocks_total", by="address"): MANY}
    ),
    "PoplarDeliveriesFail": Case(
        {one("poplar_messages_delivered_total", outcome=o): MANY for o in ("stored", "unavailable")},
        {one("poplar_messages_delivered_total", outcome=o): MANY for o in ("stored", "over_quota", "no_recipient")},
    ),
    "PoplarLeasesLost": Case({one("poplar_leases_lost_total"): SOME}, {one("poplar_leases_lost_total"): "0x10 3x400"}),
    "PoplarCertificateExpires": Case(
        {one("poplar_certificate_expiry_timestamp_seconds"): "1000000x400"},
        {one("poplar_certificate_expiry_timestamp_seconds"): "9000000x400"},
        "2h",
    ),
    "PoplarCertificateNotLoaded": Case(
        # A key that came a moment before its certificate is no fault.
        {one("poplar_certificates_broken"): "0x20 1x400"},
        {one("poplar_certificates_broken"): "0x29 1x1 0x400"},
    ),
    "PoplarSweepLate": Case(
        {one("poplar_sweep_last_success_timestamp_seconds"): "0x400"},
        {one("poplar_sweep_last_success_timestamp_seconds"): "0+60x400"},
        "5h",
    ),
    "PoplarSweepFallsBehind": Case(
        {one("poplar_sweep_backlog"): "200000x400"}, {one("poplar_sweep_backlog"): "500x400"}, "5h"
    ),
    "PoplarEventsDropped": Case(
        {one("poplar_events_total", sink="webhook", outcome="dropped"): "0x20 5x400"},
        # What the register of recent logins loses while Redis is away, PoplarRedisFails tells already.
        {
            one("poplar_events_total", sink="webhook", outcome="repeated"): MANY,
            one("poplar_events_total", sink="recent", outcome="dropped"): MANY,
        },
    ),
    "PoplarLogLinesLost": Case(
        {one("poplar_log_lines_lost_total"): "0x20 5x400"}, {one("poplar_log_lines_lost_total"): "5x400"}
    ),
    "PoplarDrainStuck": Case({one("poplar_draining"): "1x400"}, {one("poplar_draining"): "0x28 1x400"}),
    "PoplarVersionsDiffer": Case(
        {one("poplar_build_info", version=v): "1x400" for v in ("1", "2")},
        {f'poplar_build_info{{instance="{i}", version="1"}}': "1x400" for i in ("a", "b")},
        "2h",
    ),
    "PoplarOutsideDirectoryFails": Case(
        {one("poplar_directory_seconds_count", directory="crm", outcome=o): MANY for o in ("yes", "unavailable")},
        {one("poplar_directory_seconds_count", directory="crm", outcome=o): MANY for o in ("yes", "no")},
    ),
}
