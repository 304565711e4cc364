"""Tenant: is somebody heavy, guessed at or refused, and how to find out who.

Owns the panels of what tenants share and of the guard before logins. No series names a tenant, as their number must not
grow with tenants (G17): the first panel says where names stand.
"""

from grafana_foundation_sdk.builders.timeseries import Panel as Lines

from deploy.grafana import panels as look
from deploy.grafana.panels import GREEN, RED, YELLOW, Rows
from deploy.grafana.promql import at_least_none, grown, quantile, rate, share, total

MEANING = "What happens to tenants and their users: fair shares, refusals, guessed passwords, outside directories."
WHO = """
No series names a tenant: their number would grow with the tenants. These panels say *that* something happens; *to whom*
is said elsewhere.

- **One user:** `poplar maildrop explain ADDRESS` says why a client can't log in, and what to do.
- **One tenant:** `poplar tenant show TENANT`, `poplar session list --tenant TENANT`, `poplar audit --tenant TENANT`.
"""
WHERE = """
- **In the log:** `heavy tenant` names who waited most for what is shared; `refuses logins` names whose passwords are
  guessed, or from where; `session ended` has tenant, maildrop, octets and seconds of each session.
- **In the events** (`events.file`, `events.webhook`): each login, refusal and removal with tenant and maildrop.
- **Too heavy?** Fair turns hold; `fairness.most` bounds one tenant's part, its policy bounds sessions and octets a day.
"""


def rows() -> Rows:
    """The rows."""
    return [
        ("Who is it?", [look.words("One tenant, one user", WHO).height(5), look.words("Names", WHERE).height(5)]),
        ("Fair shares", [_waits(), _waiting(), _turned_away()]),
        ("Refused logins", [_refusals(), _in_use(), _mechanisms()]),
        ("Guessed passwords", [_failures(), _held_back(), _blocks(), _judged(), _remembered(), _hashing()]),
        ("Outside directories", [_asked(), _answers(), _directory_times()]),
    ]


def _waits() -> Lines:
    asked = quantile(0.99, "poplar_turn_wait_seconds", "resource")
    panel = look.lines("Waits for a turn, p99", look.SECONDS, (asked, "{{resource}}"))
    return panel.description("Only of those that had to wait at all: who finds room is not counted.")


def _waiting() -> Lines:
    asked = total("poplar_turns_waiting", "resource")
    return look.areas("Who waits for a turn now", look.COUNT, (asked, "{{resource}}"))


def _turned_away() -> Lines:
    asked = rate("poplar_turns_refused_total", "resource")
    panel = look.areas("Turned away, as their tenant had its share", look.PER_SECOND, (asked, "{{resource}}"))
    return look.told_by(panel, "PoplarPasswordQueueFull")


def _refusals() -> Lines:
    refused = rate("poplar_login_seconds_count", "result", 'result!="ok"')
    return look.areas("Logins refused, by reason", look.PER_SECOND, (refused, "{{result}}"))


def _in_use() -> Lines:
    refused = at_least_none(rate("poplar_lock_seconds_count", where='outcome="in_use"'))
    asked = share(f"({refused})", rate("poplar_lock_seconds_count"))
    panel = look.lines("Logins that found their maildrop in use", look.PARTS, (asked, "of all leases asked for"))
    return panel.description("Two programs that poll one maildrop; `poplar session list --address` says who holds it.")


def _mechanisms() -> Lines:
    asked = rate("poplar_login_seconds_count", "mechanism")
    return look.areas("Logins by mechanism", look.PER_SECOND, (asked, "{{mechanism}}"))


def _failures() -> Lines:
    asked = rate("poplar_login_failures_total", "how")
    panel = look.areas("Failed logins, as they are counted", look.PER_SECOND, (asked, "{{how}}"))
    return panel.description("Repeated is the same wrong password again: a program left with an old one, no guess.")


def _held_back() -> Lines:
    asked = rate("poplar_logins_held_back_total", "how")
    panel = look.areas("Logins held back", look.PER_SECOND, (asked, "{{how}}"))
    return look.coloured(panel, delayed=YELLOW, refused=RED)


def _blocks() -> Lines:
    asked = grown("poplar_login_blocks_total", "by").replace("$__range", "10m")
    panel = look.limited(look.lines("Blocks that began within 10 minutes", look.COUNT, (asked, "{{by}}")), (20.0, RED))
    return look.told_by(panel, "PoplarPasswordsGuessed")


def _judged() -> Lines:
    asked = rate("poplar_logins_judged_total", "counters")
    panel = look.areas("Whose counters judged", look.PER_SECOND, (asked, "{{counters}}"))
    panel = panel.description("Own: Redis was away, and each process counted for itself.")
    return look.coloured(panel, shared=GREEN, own=YELLOW)


def _remembered() -> Lines:
    hits = rate("poplar_remembered_logins_total", where='outcome="hit"')
    asked = share(hits, rate("poplar_remembered_logins_total"))
    panel = look.lines("Passwords that needn't be computed", look.PARTS, (asked, "remembered"))
    return panel.max(1).description("Right passwords are remembered for `hashing.remember_seconds`.")


def _hashing() -> Lines:
    asked = (quantile(0.5, "poplar_store_seconds", where='vendor="passwords"'), "p50")
    slow = (quantile(0.99, "poplar_store_seconds", where='vendor="passwords"'), "p99")
    return look.lines("Latency of verifying a password", look.SECONDS, asked, slow)


def _asked() -> Lines:
    asked = rate("poplar_directory_seconds_count", "directory")
    return look.areas("Questions to outside directories", look.PER_SECOND, (asked, "{{directory}}"))


def _answers() -> Lines:
    asked = rate("poplar_directory_seconds_count", "outcome")
    panel = look.areas("What they answered", look.PER_SECOND, (asked, "{{outcome}}"))
    panel = look.coloured(panel, yes=GREEN, no=YELLOW, unavailable=RED)
    return look.told_by(panel, "PoplarOutsideDirectoryFails")


def _directory_times() -> Lines:
    asked = quantile(0.99, "poplar_directory_seconds", "directory")
    return look.lines("Answer latency, p99", look.SECONDS, (asked, "{{directory}}"))
