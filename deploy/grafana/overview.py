"""Overview: do users get their mail, and how fast is the error budget going?

Owns the service levels' panels and those of the traffic. The levels come from the recording rules alone, so that alert
and panel can't differ; they are of all processes.
"""

from grafana_foundation_sdk.builders.stat import Panel as Number
from grafana_foundation_sdk.builders.table import Panel as Table
from grafana_foundation_sdk.builders.timeseries import Panel as Lines
from grafana_foundation_sdk.models.dashboard import DataTransformerConfig, DynamicConfigValue

from deploy.grafana import panels as look
from deploy.grafana.panels import BLUE, GREEN, ORANGE, RED, YELLOW, Rows
from deploy.grafana.promql import FAULTS, at_least_none, of, percentiles, quantile, rate, total

MEANING = "Whether users get their mail: service levels, error budgets, alerts, traffic."
LEVELS = {
    "login": ("Logins", 0.999, "PoplarLoginBudgetBurns", "that did not fail for the service's own fault"),
    "retrieval": ("Retrievals", 0.9995, "PoplarRetrievalBudgetBurns", "(RETR and TOP) that were sent whole"),
    "greeting": ("Greetings", 0.99, "PoplarGreetingBudgetBurns", "that came within a second, handshake included"),
}
WINDOWS = {"5m": YELLOW, "1h": ORANGE, "6h": RED, "3d": BLUE}
BURNS = ((1.0, BLUE), (6.0, ORANGE), (14.4, RED))
"""Times the rate that uses up a budget in 30 days: the first opens a ticket, the others page."""
DELIVERED = "poplar_messages_delivered_total"
COMMANDS = "STAT|LIST|UIDL|RETR|TOP|DELE"


def rows() -> Rows:
    """The rows, from what matters most."""
    kept = [_kept(level) for level in LEVELS]
    burns = [_burn(level) for level in LEVELS]
    return [
        ("Service levels, of all processes", [*kept, *_now(), *burns]),
        ("Alerts", [_alerts(), _builds()]),
        ("Logins and sessions", [_logins(), _refusals(), _login_times(), _sessions(), _greeting_times(), _ends()]),
        ("HTTP API", [_requests(), _request_times(), _answers()]),
        ("Mail", [_retrievals(), _messages(), _octets(), _commands(), _command_times(), _read_times()]),
    ]


def _kept(level: str) -> Number:
    name, goal, alert, what = LEVELS[level]
    steps = look.marks((1 - 14.4 * (1 - goal), ORANGE), (goal, GREEN), first=RED)
    panel = look.number(f"{name}, 3 days", look.PARTS, f"1 - poplar:{level}:error_ratio_rate3d")
    panel = panel.description(f"The part of {name.lower()} {what}. The goal is {goal:.2%} over 30 days.")
    return look.told_by(panel.thresholds(steps).decimals(3), alert)


def _now() -> list[Number]:
    sessions = look.number("Sessions", look.COUNT, total("poplar_sessions"))
    logins = look.number("Logins", look.PER_SECOND, rate("poplar_login_seconds_count")).decimals(1)
    stored = look.number("Deliveries", look.PER_SECOND, rate(DELIVERED, where='outcome="stored"')).decimals(1)
    return [panel.thresholds(look.marks(first=BLUE)) for panel in (sessions, logins, stored)]


def _burn(level: str) -> Lines:
    name, goal, alert, _ = LEVELS[level]
    budget = f"{1 - goal:.4g}"
    asked = [(f"poplar:{level}:error_ratio_rate{window} / {budget}", window) for window in WINDOWS]
    panel = look.limited(look.lines(f"{name}: how fast the budget burns", look.TIMES, *asked), *BURNS)
    panel = panel.fill_opacity(0).axis_soft_max(16).decimals(1).description(
        f"1 uses up the budget of {budget} in 30 days. Pages: 14.4 over 1 h and 5 min, or 6 over 6 h and 30 min. "
        "Ticket: 1 over 3 days and 6 h."
    )  # fmt: skip
    return look.told_by(look.coloured(panel, **WINDOWS), alert)


def _alerts() -> Table:
    link = {"title": "Runbook", "url": "${runbooks}/${__data.fields.alertname}.md", "targetBlank": True}
    columns = {name: number for number, name in enumerate(("alertname", "severity", "alertstate", "instance"))}
    tidy = {"excludeByName": {"Time": True, "__name__": True, "Value": True}, "indexByName": columns}
    asked = [('ALERTS{alertname=~"Poplar.*"}', "")]
    panel = (
        Table()
        .title("Alerts that are pending or fire")
        .description("Each name leads to its runbook.")
        .targets(look.queries(asked, instant=True))
        .no_value("No alert")
        .span(16)
        .height(8)
        .with_transformation(DataTransformerConfig(id_val="organize", options=tidy))
        .override_by_name("alertname", [DynamicConfigValue(id_val="links", value=[link])])
    )
    return look.told_by(panel, "PoplarAbsent")


def _builds() -> Lines:
    builds = "count by (version) (" + of("poplar_build_info") + ")"
    panel = look.areas("Processes by version", look.COUNT, (builds, "{{version}}"))
    return look.told_by(panel.decimals(0), "PoplarVersionsDiffer", "PoplarAbsent")


def _logins() -> Lines:
    count = "poplar_login_seconds_count"
    asked = (
        (rate(count, where='result="ok"'), "let in"),
        (at_least_none(rate(count, where=f'result!~"ok|{FAULTS}"')), "refused"),
        (at_least_none(rate(count, where=f'result=~"{FAULTS}"')), "failed"),
    )
    panel = look.areas("Logins", look.PER_SECOND, *asked)
    panel = panel.description("Refused is the client's business, failed is the service's own fault.")
    return look.coloured(panel, **{"let in": GREEN, "refused": YELLOW, "failed": RED})


def _refusals() -> Lines:
    refused = rate("poplar_login_seconds_count", "result", 'result!="ok"')
    return look.areas("Logins refused or failed, by reason", look.PER_SECOND, (refused, "{{result}}"))


def _login_times() -> Lines:
    return look.lines("Login latency, of those let in", look.SECONDS, *percentiles(
        "poplar_login_seconds", 'result="ok"'
    ))  # fmt: skip


def _requests() -> Lines:
    asked = rate("poplar_api_seconds_count", "outcome")
    panel = look.areas("Requests of the HTTP API", look.PER_SECOND, (asked, "{{outcome}}"))
    panel = panel.description("Refused is the caller's business (status 4xx), failed the service's own (5xx).")
    return look.told_by(look.coloured(panel, ok=GREEN, refused=YELLOW, failed=RED), "PoplarAbsent")


def _request_times() -> Lines:
    return look.lines("Request latency, of those granted", look.SECONDS, *percentiles(
        "poplar_api_seconds", 'outcome="ok"'
    ))  # fmt: skip


def _answers() -> Lines:
    # Each status has a series from the start, and most never come.
    asked = rate("poplar_api_responses_total", "code", 'code!~"2.."') + " > 0"
    return look.areas("Requests refused or failed, by status", look.PER_SECOND, (asked, "{{code}}"))


def _sessions() -> Lines:
    return look.areas("Sessions by state", look.COUNT, (total("poplar_sessions", "state"), "{{state}}"))


def _greeting_times() -> Lines:
    panel = look.lines("Greeting latency, handshake included", look.SECONDS, *percentiles("poplar_greeting_seconds"))
    return look.told_by(look.limited(panel, (1.0, RED)), "PoplarGreetingBudgetBurns")


def _ends() -> Lines:
    return look.areas("How sessions end", look.PER_SECOND, (rate("poplar_session_seconds_count", "end"), "{{end}}"))


def _retrievals() -> Lines:
    sent = rate("poplar_retrievals_total", where='outcome="sent"')
    others = rate("poplar_retrievals_total", "outcome", 'outcome!="sent"') + " > 0"
    panel = look.areas("Retrievals by outcome", look.PER_SECOND, (sent, "sent"), (others, "{{outcome}}"))
    panel = look.coloured(panel, sent=GREEN, broken=RED)
    return look.told_by(panel, "PoplarRetrievalBudgetBurns", "PoplarMessageDamaged")


def _messages() -> Lines:
    return look.lines(
        "Messages",
        look.PER_SECOND,
        (rate("poplar_messages_retrieved_total"), "retrieved"),
        (rate("poplar_messages_topped_total"), "topped"),
        (rate("poplar_messages_removed_total"), "removed"),
        (rate(DELIVERED, where='outcome="stored"'), "delivered"),
    )


def _octets() -> Lines:
    asked = rate("poplar_octets_sent_total", "listener")
    return look.areas("Octets to clients", look.OCTETS_PER_SECOND, (asked, "{{listener}}"))


def _commands() -> Lines:
    count = "poplar_command_seconds_count"
    return look.areas(
        "POP3 commands",
        look.PER_SECOND,
        (rate(count, "verb", f'verb=~"{COMMANDS}"'), "{{verb}}"),
        (rate(count, where=f'verb!~"{COMMANDS}"'), "others"),
    )


def _command_times() -> Lines:
    asked = quantile(0.99, "poplar_command_seconds", "verb", f'verb=~"{COMMANDS}|QUIT"')
    return look.lines("POP3 command latency, p99", look.SECONDS, (asked, "{{verb}}"))


def _read_times() -> Lines:
    return look.lines(
        "Message read latency, p99",
        look.SECONDS,
        (quantile(0.99, "poplar_blob_first_octet_seconds"), "first octets"),
        (quantile(0.99, "poplar_blob_read_seconds"), "whole"),
    )
