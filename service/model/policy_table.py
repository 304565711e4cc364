"""The table of policy values: what each may be and what it is for. Commands, the HTTP API and the checks read it.

Owns the one list; to add a value, add its row here and its field in `policy.py`. Refuses to enforce any: each is obeyed
where its subject lives. RFC 2449 §6.5 (LOGIN-DELAY), §6.7 (EXPIRE).
"""

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from service.model.policy import Policy, PolicyValue
from service.model.policy_rules import Choice, Day, Networks, Number, Rule, Switch, Words

LARGEST = 2**62
WAYS = (
    "USER",
    "PLAIN",
    "LOGIN",
    "SCRAM-SHA-256",
    "SCRAM-SHA-256-PLUS",
    "OAUTHBEARER",
    "XOAUTH2",
    "EXTERNAL",
)
"""The ways to log in that a policy may name: USER stands for USER and PASS, the others are SASL mechanisms.

SCRAM-SHA-256 allows SCRAM-SHA-256-PLUS too, which is the same bound to its connection.
"""

APP_PASSWORD_WAYS = ("USER", "PLAIN", "LOGIN")
"""The ways that take an app password: no keys for SCRAM are kept of it."""

RULES: Mapping[str, Rule] = MappingProxyType(
    {
        "login_delay": Number(
            help="seconds between two logins",
            metavar="SECONDS",
            low=0,
            high=86_400,
            less_is_looser=True,
            optional=False,
        ),
        "expire_days": Number(nothing="never", help="days until mail is removed", metavar="DAYS", low=1, high=36_500),
        "quota_octets": Number(help="octets that a maildrop may hold", metavar="OCTETS", low=0, high=LARGEST),
        "quota_messages": Number(help="messages that a maildrop may hold", metavar="MESSAGES", low=0, high=LARGEST),
        "pop3": Switch(help="whether POP3 may open the maildrop; mail is delivered either way", loose=True),
        "mechanisms": Words(help="ways to log in that are allowed", metavar="NAME,...", known=WAYS, narrows=True),
        "networks": Networks(help="networks that clients may come from", narrows=True),
        "app_passwords": Choice(
            help="whether app passwords alone open the maildrop",
            metavar="required|allowed",
            options=("required", "allowed"),
        ),
        "login_burst": Number(
            help="logins that may follow each other at once before login_delay holds",
            metavar="LOGINS",
            low=1,
            high=100,
            optional=False,
        ),
        "sessions_per_address": Number(
            help="sessions at once of the tenant from one client address", metavar="SESSIONS", low=1, high=1_000_000
        ),
        "sessions_per_tenant": Number(
            help="sessions at once of all the tenant's maildrops", metavar="SESSIONS", low=1, high=1_000_000
        ),
        "octets_per_day": Number(
            help="octets of messages that may be retrieved in 24 hours", metavar="OCTETS", low=1, high=LARGEST
        ),
        "dele": Choice(
            help="what DELE means: an error, a pretence that keeps the mail, its removal with undo, its removal",
            metavar="refuse|keep|undo|remove",
            options=("refuse", "keep", "undo", "remove"),
            narrows=True,
        ),
        "undo_days": Number(
            help="days until what DELE removed with undo is gone for good",
            metavar="DAYS",
            low=1,
            high=3_650,
            optional=False,
        ),
        "retrieved_days": Number(
            nothing="never",
            help="days until mail that RETR brought is removed, 0 for with that QUIT",
            metavar="DAYS",
            low=0,
            high=36_500,
        ),
        "shown_since": Day(help="day from which on received mail is shown", narrows=True),
        "shown_days": Number(
            help="days for which mail is shown after it was received",
            metavar="DAYS",
            low=1,
            high=36_500,
            narrows=True,
        ),
        "recent_days": Number(
            help="days shown to who logs in with recent: before the name; none for no such name",
            metavar="DAYS",
            low=1,
            high=36_500,
            none_is_tightest=True,
        ),
        "order": Choice(
            help="which message has number 1", metavar="oldest|newest", options=("oldest", "newest"), unordered=True
        ),
    }
)
POLICY_NAMES: tuple[str, ...] = tuple(RULES)
NARROWING: tuple[str, ...] = tuple(name for name, rule in RULES.items() if rule.narrows)
"""What an app password may set of its own."""


def check_policy(values: Mapping[str, PolicyValue]) -> None:
    """Raises ValueError naming the first value that is unknown or not sound."""
    for name, value in values.items():
        if name not in RULES:
            raise ValueError(f"no policy is called {name}")
        try:
            RULES[name].check(value)
        except ValueError as error:
            raise ValueError(f"{name} {error}") from None


def default_of(name: str) -> PolicyValue:
    """What the value is where no level sets it."""
    value: PolicyValue = getattr(Policy(), name)
    return value


def policy_of(values: Mapping[str, PolicyValue]) -> Policy:
    """The policy that the set `values` amount to; what a later release set besides is left to it.

    Raises ValueError for one that can't be obeyed.
    """
    known = {name: values[name] for name in RULES if name in values}
    given = {name: value for name, value in known.items() if value is not None or RULES[name].optional}
    for name, value in given.items():
        if value is not None and not RULES[name].readable(value):
            raise ValueError(f"{name} {RULES[name].bounds}: {value!r} can't be obeyed")
    return Policy(**given)  # type: ignore[arg-type]


def check_narrowing(values: Mapping[str, PolicyValue]) -> None:
    """Raises ValueError naming the first value that an app password can't set, isn't sound, or shuts it out."""
    for name in values:
        if name in RULES and name not in NARROWING:
            raise ValueError(f"{name} is not for an app password")
    check_policy(values)
    mechanisms = policy_of(values).mechanisms
    if mechanisms is not None and not set(APP_PASSWORD_WAYS) & set(mechanisms):
        raise ValueError(f"mechanisms has none that takes an app password: these do, {', '.join(APP_PASSWORD_WAYS)}")


def narrowed(policy: Policy, values: Mapping[str, PolicyValue]) -> Policy:
    """`policy` with those of an app password's `values` that allow less.

    A value that would allow more changes nothing, whatever was tightened since the app password was made.
    Raises ValueError for one that can't be obeyed.
    """
    own = policy_of(values)
    tighter = {
        name: getattr(own, name)
        for name in NARROWING
        if name in values and not RULES[name].looser(getattr(own, name), getattr(policy, name))
    }
    return replace(policy, **tighter)
